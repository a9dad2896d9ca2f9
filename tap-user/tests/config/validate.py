"""Reads {schema, right, wrong} and fails if a document is judged otherwise than named."""

import json
import sys

from jsonschema import Draft202012Validator

cases = json.load(sys.stdin)
Draft202012Validator.check_schema(cases["schema"])
validator = Draft202012Validator(cases["schema"])
misjudged = 0
for document in cases["right"]:
    for error in validator.iter_errors(document):
        print("right, but:", error.json_path, error.message)
        misjudged += 1
for document in cases["wrong"]:
    if validator.is_valid(document):
        print("wrong, but valid:", document)
        misjudged += 1
sys.exit(min(misjudged, 1))
