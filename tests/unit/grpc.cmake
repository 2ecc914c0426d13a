nexus_test(test_pb SOURCES test_pb.c DEPS nexus_pb)
