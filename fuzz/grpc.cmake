nexus_fuzz(fuzz_pb SOURCES fuzz_pb.c DEPS nexus_pb)
foreach(name IN ITEMS grpc_frame h2)
    nexus_fuzz(fuzz_${name} SOURCES fuzz_${name}.c DEPS nexus_grpc)
endforeach()
