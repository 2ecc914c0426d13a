#include "nx_test.h"
#include "nx_wire.h"

#include <stdlib.h>
#include <string.h>

static void one_message_reaches_both(void **state)
{
    (void)state;
    struct nx_core_config config = wire_config();
    struct wire *wire = wire_open(&config, NULL, 2);
    assert_int_equal(wire_send(wire, 0, "hello"), NX_OK);
    wire_run(wire);
    fputs(wire->trace, stderr);
    wire_close(wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_message_reaches_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
