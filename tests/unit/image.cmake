foreach(name IN ITEMS exif decode webp_tables resize recipe photo)
    nexus_test(test_${name} SOURCES test_${name}.c DEPS nexus_image)
endforeach()
