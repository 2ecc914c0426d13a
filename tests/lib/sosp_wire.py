"""The demo service's messages by raw field numbers, without generated code.

The tests speak the wire as it is fixed, so a renumbered field in a .proto file is found here.
A decoded message is a list of (field, value): int for varints, bytes for lengths, and for fixed32.
"""

WHATSTHIS = "/sospdemo.FunctionTierService/Whatsthis"
INSTALL = "/sospdemo.FunctionTierService/InstallModel"
REMOVE = "/sospdemo.FunctionTierService/RemoveModel"


def varint(value):
    out = bytearray()
    value &= (1 << 64) - 1
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field, value):
    return varint(field << 3) + varint(value)


def blob(field, value):
    return varint(field << 3 | 2) + varint(len(value)) + value


def _read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields(data):
    out, at = [], 0
    while at < len(data):
        key, at = _read_varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _read_varint(data, at)
        elif kind in (2, 5):
            size, at = _read_varint(data, at) if kind == 2 else (4, at)
            value, at = data[at:at + size], at + size
            if len(value) != size:
                raise ValueError("field %d ends after %d of %d bytes" % (key >> 3, len(value), size))
        else:
            raise ValueError("wire type %d in field %d" % (kind, key >> 3))
        out.append((key >> 3, value))
    return out


def field(data, wanted, default=None):
    found = default
    for key, value in fields(data):
        if key == wanted:
            found = value
    return found


def photo_start(size, tags, packed=True):
    if packed:
        listed = blob(2, b"".join(varint(t) for t in tags)) if tags else b""
    else:
        listed = b"".join(number(2, t) for t in tags)
    return blob(1, number(1, size) + listed)


def install_start(tag, synset, symbol, params, extra=b""):
    return blob(1, number(1, tag) + number(2, synset) + number(3, symbol) + number(4, params) + extra)


def chunk(data):
    return blob(2, data)


def chunks(data, size=64 * 1024):
    return [chunk(data[i:i + size]) for i in range(0, len(data), size)]


def remove_request(tag, request_id=b""):
    return number(1, tag) + (blob(16, request_id) if request_id else b"")


def outcome(data):
    """(error_code, error_desc) of the reply to an install or a removal."""
    code = field(data, 1, 0)
    if code >= 1 << 63:
        code -= 1 << 64
    return code, field(data, 2, b"").decode()


def outcome_reply(code, text):
    return (number(1, code) if code else b"") + blob(2, text if isinstance(text, bytes) else text.encode())


def description(data):
    return field(data, 1, b"").decode()
