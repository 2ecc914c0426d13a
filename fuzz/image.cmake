foreach(name IN ITEMS image exif recipe)
    nexus_fuzz(fuzz_${name} SOURCES fuzz_${name}.c DEPS nexus_image)
endforeach()
