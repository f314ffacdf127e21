"""Writes golden files: JSON with a line for each row of numbers. The other scripts import it."""

import json

import numpy as np


def tensor(values, digits):
    """Shape and values, row-major, the values as text of so many significant digits.

    Nine digits give a 32-bit float back exactly.
    """
    array = np.asarray(values)
    return {
        "shape": list(array.shape),
        "values": [Number(value, digits) for value in array.ravel().tolist()],
    }


class Number:
    """A number and how many of its digits are written."""

    def __init__(self, value, digits):
        self.text = json.dumps(float(f"{value:.{digits}g}"))


def write_json(path, value):
    """Writes nested dictionaries and lists; `Number`s as their text."""
    path.write_text(lines(value, "") + "\n", encoding="utf-8")
    print(f"{path.name}: {path.stat().st_size} bytes")


def lines(value, indent):
    """The JSON text of a value: containers over several lines, each row of a tensor on one."""
    inner = indent + "  "
    if isinstance(value, Number):
        return value.text
    if isinstance(value, dict) and list(value) == ["shape", "values"]:
        return tensor_lines(value, indent)
    if isinstance(value, dict) and value:
        items = [f"{inner}{json.dumps(key)}: {lines(item, inner)}" for key, item in value.items()]
        return "{\n" + ",\n".join(items) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
        return "[\n" + ",\n".join(inner + lines(item, inner) for item in value) + f"\n{indent}]"
    if isinstance(value, list):
        return "[" + ", ".join(lines(item, inner) for item in value) + "]"
    return json.dumps(value)


def tensor_lines(value, indent):
    """A tensor's JSON text."""
    numbers = [number.text for number in value["values"]]
    width = value["shape"][-1]
    rows = [", ".join(numbers[row : row + width]) for row in range(0, len(numbers), width)]
    inner = indent + "  "
    values = (",\n" + inner + "  ").join(rows)
    return (
        f'{{\n{inner}"shape": {value["shape"]},\n'
        f'{inner}"values": [\n{inner}  {values}\n{inner}]\n{indent}}}'
    )
