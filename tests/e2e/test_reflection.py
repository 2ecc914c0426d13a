#!/usr/bin/env python3
"""Server reflection as grpcurl uses it: list the services, fetch the files, call a method by what they say, with no .proto at hand."""

import sys

import harness
from harness import GroupCase, grpc

try:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
except ImportError as missing:
    print("SKIP: %s (package python3-protobuf)" % missing)
    sys.exit(77)


def field(number, text):
    data = text if isinstance(text, bytes) else text.encode()
    size, head = len(data), bytes([number << 3 | 2])
    while size > 127:
        head, size = head + bytes([size & 127 | 128]), size >> 7
    return head + bytes([size]) + data


def fields(data):
    """(number, value) of a message: bytes, or a number."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
    while at < len(data):
        tag = varint()
        if tag & 7 == 2:
            size = varint()
            yield tag >> 3, data[at:at + size]
            at += size
        else:
            yield tag >> 3, varint()


FILE, SYMBOL, EXTENSION, NUMBERS, SERVICES = 3, 4, 5, 6, 7


class Reflection(GroupCase):
    def ask(self, *questions, version="v1"):
        """For each question the number and the bytes of what answers it."""
        with grpc.insecure_channel(self.group.address(), [("grpc.enable_http_proxy", 0)]) as channel:
            call = channel.stream_stream("/grpc.reflection.%s.ServerReflection/ServerReflectionInfo" % version)
            answers = [dict(fields(a)) for a in call(iter(questions), timeout=harness.WAIT_S)]
        self.assertEqual([a.pop(2) for a in answers], list(questions))
        return [next(iter(a.items())) for a in answers]

    def files_of(self, *questions):
        found = []
        for number, value in self.ask(*questions):
            self.assertEqual(number, 4)
            found += [data for _, data in fields(value)]
        return found

    def test_both_versions_list_the_same_services(self):
        for version in ("v1", "v1alpha"):
            (number, value), = self.ask(field(SERVICES, "*"), version=version)
            names = sorted(dict(fields(entry))[1].decode() for _, entry in fields(value))
            self.assertEqual((number, names), (6, [
                "grpc.health.v1.Health", "inference.GRPCInferenceService", "nexus.Control", "sospdemo.FunctionTierService"]))

    def test_a_method_is_called_by_what_is_told_of_it(self):
        pool = descriptor_pool.DescriptorPool()
        for data in self.files_of(field(SYMBOL, "inference.GRPCInferenceService")):
            pool.AddSerializedFile(data)
        method = pool.FindServiceByName("inference.GRPCInferenceService").methods_by_name["ModelMetadata"]
        make = getattr(message_factory, "GetMessageClass", None) or message_factory.MessageFactory(pool).GetPrototype
        ask, answer = make(method.input_type)(name="1"), make(method.output_type)
        with grpc.insecure_channel(self.group.address(), [("grpc.enable_http_proxy", 0)]) as channel:
            call = channel.unary_unary("/inference.GRPCInferenceService/ModelMetadata",
                                       response_deserializer=answer.FromString)
            self.assertEqual(call(ask.SerializeToString(), timeout=harness.WAIT_S).name, "1")

    def test_symbols_of_every_kind_and_files_by_name(self):
        for symbol in ("inference.ModelInferRequest", "inference.ModelInferRequest.InferInputTensor",
                       "inference.ModelInferRequest.model_name", "inference.GRPCInferenceService.ModelInfer",
                       "grpc.health.v1.HealthCheckResponse.ServingStatus", "sospdemo.FunctionTierService.Whatsthis"):
            with self.subTest(symbol=symbol):
                data, = self.files_of(field(SYMBOL, symbol))
                name = descriptor_pb2.FileDescriptorProto.FromString(data).name
                self.assertEqual(self.files_of(field(FILE, name)), [data])

    def test_what_is_not_there_is_said_and_the_stream_goes_on(self):
        absent = [field(SYMBOL, s) for s in ("", ".", "inference", "inference.", "inference.Nothing", "inference.ModelInferRequest.",
                                             "inference.ModelInfer", "nexus.control.Control", "x" * 3000)]
        absent += [field(FILE, "none.proto"), field(FILE, ""), field(EXTENSION, b""), field(NUMBERS, "inference.ModelInferRequest")]
        for number, value in self.ask(*absent):
            self.assertEqual((number, dict(fields(value))[1]), (7, 5))
        self.assertEqual(self.ask(field(SYMBOL, "no"), field(SERVICES, ""))[1][0], 6)

    def test_nonsense_ends_the_stream(self):
        for question in (b"", b"\xff\xff", field(1, "host"), field(SYMBOL, "x" * 5000), b"\x22\x7fshort"):
            with self.assertRaises(grpc.RpcError) as refused:
                self.ask(question)
            self.assertEqual(refused.exception.code(), grpc.StatusCode.INVALID_ARGUMENT, question[:20])


if __name__ == "__main__":
    harness.main()
