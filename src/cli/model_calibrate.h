/* model_calibrate.h — `nexus model calibrate`: the ranges of a model's values on photos, for int8 (calibration.h).
 *
 * args->photos is a folder, of which every file is a photo that does not begin with a dot, by growing name; or a
 * file with the path of a photo in each line. A photo that cannot be read or decoded is told on
 * standard error and passed over; at least one has to be left. The recipe is a preset's name, or
 * a file of recipe text (recipe.h); demo-2019 without one. */
#ifndef NX_CLI_MODEL_CALIBRATE_H
#define NX_CLI_MODEL_CALIBRATE_H

#include "cli/model_args.h"

#include <stdio.h>

#define NX_CALIBRATION_PHOTOS_MAX 10000u

/* Writes args->output; what was seen is told on `out`. The file is not touched before all photos were seen. */
enum nx_status nx_model_calibrate_files(struct nx_model_args *args, FILE *out, struct nx_err *err);

#endif
