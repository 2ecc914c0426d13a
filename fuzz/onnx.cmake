nexus_fuzz(fuzz_onnx SOURCES fuzz_onnx.c DEPS nexus_model)
