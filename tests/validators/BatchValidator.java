import com.pixelmed.dicom.Attribute;
import com.pixelmed.dicom.AttributeList;
import com.pixelmed.dicom.SOPClass;
import com.pixelmed.dicom.TagFromName;
import com.pixelmed.validate.DicomSRValidator;

/**
 * Validates structured reports against their templates with PixelMed, all in one Java machine, because the validator
 * compiles its style sheets for half a minute at its start. Prints "FILE path" before the lines of each file and
 * "DONE" at the end, so that a caller can tell a validator that died from one that found nothing.
 */
public final class BatchValidator {
    public static void main(String[] paths) throws Exception {
        DicomSRValidator validator = new DicomSRValidator();
        for (String path : paths) {
            AttributeList list = new AttributeList();
            list.read(path);
            String sopClass = Attribute.getSingleStringValueOrEmptyString(list, TagFromName.SOPClassUID);
            System.out.println("FILE " + path);
            if (SOPClass.isStructuredReport(sopClass)) {
                System.out.print(validator.validate(list));
            } else {
                System.out.println("Error: not a structured report");
            }
            System.out.println();
        }
        System.out.println("DONE");
    }
}
