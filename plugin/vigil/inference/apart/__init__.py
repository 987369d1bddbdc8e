"""The networks of a model in a process of their own, so that a crash in there ends that process and not Orthanc.

``entry`` and ``serving`` run in the child, where the same sessions are made as in Orthanc; the rest runs in Orthanc. Between the
two go short messages of a fixed form, and tensors in sealed memory. Nothing that the child says is believed before it was looked
at, and nothing of it is ever run: it may be what a malicious graph made of it.
"""
