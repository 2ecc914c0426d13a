foreach(name IN ITEMS exif decode resize recipe photo)
    nexus_test(test_${name} SOURCES test_${name}.c DEPS nexus_image)
endforeach()
