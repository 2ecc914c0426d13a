foreach(name IN ITEMS graph shape input_size cpu_ref pass model model_infer params symbol symbol_attr onnx synset topk plan)
    nexus_test(test_${name} SOURCES test_${name}.c DEPS nexus_model)
endforeach()
nexus_test(test_npz SOURCES test_npz.c DEPS nexus_model PkgConfig::ZLIB)
