/* The gcs driver, from requests written to answers understood; no network. */
#include "tests/unit/driver_bench.h"
int
main(void)
{
	return 0;
}
