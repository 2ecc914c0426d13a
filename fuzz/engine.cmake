foreach(name IN ITEMS params symbol calibration)
    nexus_fuzz(fuzz_${name} SOURCES fuzz_${name}.c DEPS nexus_model)
endforeach()
