"""What a finding is like, beside how much of it there is: on which side, how severe."""

from __future__ import annotations

from vigil.domain.answer import Answer, Finding
from vigil.domain.concepts import Code


def qualities(finding: Finding) -> tuple[str, ...]:
    """As parts of a line: ("left", "severity moderate")."""
    side = () if finding.laterality is None else (finding.laterality.meaning.lower(),)
    return side if finding.severity is None else (*side, f"severity {finding.severity.meaning.lower()}")


def qualities_of(concept: Code, answer: Answer) -> tuple[str, ...]:
    """Of one of several findings; nothing of what was not found."""
    return next((qualities(finding) for finding in answer.findings if finding.concept == concept), ())


def qualities_sentence(answer: Answer) -> str:
    """What follows the sentence of the answer: "Left, severity moderate." Of several findings each after its name. Empty where
    nothing is known."""
    named = len(answer.findings) > 1 or bool(answer.parts)
    told = [(finding, qualities(finding)) for finding in answer.findings]
    lines = [f"{finding.concept.meaning}: {', '.join(parts)}" if named else ", ".join(parts) for finding, parts in told if parts]
    return " ".join(f"{line[0].upper()}{line[1:]}." for line in lines)


def followed_by(sentence: str, answer: Answer) -> str:
    """A sentence of an answer, ended, with what its findings are like."""
    more = qualities_sentence(answer)
    if not more:
        return sentence
    return f"{sentence if sentence.endswith(('.', '!', '?')) else f'{sentence}.'} {more}"
