"""How good drafts of `new-feed` are: a corpus of sample files with right contracts, and a score.

    values   seeded texts and amounts        corpus    all sets, and the edits that each may need
    shops, tills, offices, faults            the generators of the samples
    contracts/                               the right contracts, made by hand
    compare  draft and right contract        score     draft a set and count its edits

**An edit is one line that a person changes, adds or takes out to make the right contract of the draft.** They are
counted by kind, in `compare`:

| kind | one edit for |
|---|---|
| file | format, encoding, delimiter, sheet: each that differs |
| batch | the cadence, and one more if the files' names would be read as other days |
| column | each column that the draft lacks or has too many |
| type | each column whose type is of another kind, or too narrow; `physicalType` and `logicalType` are one |
| required | each column |
| key | each column that is in one of the two keys only |
| format | a column's form of dates, if it reads the samples otherwise |
| number | decimal separator, thousands separator, currency signs of a column: each, if it reads the samples otherwise |
| words | a column's words for "no value", if it reads the samples otherwise |
| personal | each column |
| value | a column's `valueFrom` or `fillDown` |
| ignored | each rule about records that are no data, if other records of the samples are ignored |
| unsaid | each thing that the samples can't tell, and the draft does not say so |

A wider type is right: BIGINT for INTEGER, DECIMAL(18,3) for DECIMAL(18,2). Names of columns are a matter of taste, and
limits, enums, patterns and quality rules are what a person knows and samples don't: they are not compared. For a draft
that is refused every line has to be written; it is compared with a contract that has no columns.

What samples can't tell stands in the right contract as custom property `draftSays`, of a column or of the object:
`{type: 'or thousands'}` means that the draft may choose any type if a comment of it matches the pattern.
"""
