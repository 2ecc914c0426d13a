/* nx_calibrated.h — a calibration for a small model, as `nexus model calibrate` makes one, from one input of tests. */
#ifndef NX_CALIBRATED_H
#define NX_CALIBRATED_H

#include "nx_test.h"

#include "categorizer/model/calibrate.h"

#include <stdio.h>

/* input: the model's only one, for a batch of 1. malloc'd, NUL-terminated. */
static inline char *nx_calibrated(const struct nx_model_files *files, const float *input)
{
    static const struct nx_calibration_how how = {.rule = NX_RULE_MINMAX};
    struct nx_model_options options = {.backend = "cpu_ref",
                                       .load = {.batch_max = 1, .threads = 1}};
    struct nx_calibrator *c;
    struct nx_err err = {0};
    char *text = NULL;
    size_t len;
    if (nx_calibrator_open(files, &options, &c, &err) != NX_OK)
        fail_msg("%s", err.text);
    assert_int_equal(nx_calibrator_see(c, &input, &err), NX_OK);
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    assert_int_equal(nx_calibrator_write(c, &how, "1 input", out, &err), NX_OK);
    assert_int_equal(fclose(out), 0);
    nx_calibrator_close(c);
    return text;
}

#endif
