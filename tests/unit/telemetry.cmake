pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
nexus_test(test_spans SOURCES test_spans.c DEPS nexus_telemetry PkgConfig::JANSSON)
