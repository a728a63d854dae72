"""Ready-made HLS and DASH that an encoder uploads, object by object (DASH-IF live media ingest 1.2, interface 2).

`names`, `lists` and `mpd` say what a path, a playlist and an MPD mean; `objects` is the law of one stream's objects;
`files` keeps them on disk; `uploads` joins these. `endpoint` answers encoders, and `interfaces` tells their objects
from the tracks of interface 1.
"""
