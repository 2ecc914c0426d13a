nexus_fuzz(fuzz_pb SOURCES fuzz_pb.c DEPS nexus_v2)
nexus_fuzz(fuzz_grpc_frame SOURCES fuzz_grpc_frame.c DEPS nexus_grpc)
nexus_fuzz(fuzz_h2 SOURCES fuzz_h2.c DEPS nexus_health)
