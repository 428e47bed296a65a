"""Read segment lists, in the forms that the field writes them, into `records.Segment` rows.

    reader = open_list(ListSpec(path="desc_test.json"), seconds=10.0)
    for row in reader:          # Segment or Bad, in file order, in constant memory
        ...

Every row that holds data comes out as a `Segment` or as a `Bad` that says why: none is dropped.
The form is recognised from the content, never from the file's extension.

    source      a file or address -> bytes -> text: unpacking and encoding
    encodings   which legacy encoding a text is in
    forms       text -> the name of its form
    delimited   CSV and TSV lines -> fields
    documents   JSON, JSON lines, Parquet -> values
    columns     what columns are called; names of splits and labels
    rows        one row's values -> a Segment, or the reason why not
    reader      the forms, put together from the above
"""

from valor_data.segments.forms import detect
from valor_data.segments.reader import SegmentReader, open_list
from valor_data.segments.rows import Bad

__all__ = ["Bad", "SegmentReader", "detect", "open_list"]
