/*
 * CRC-64/NVME, by tables eight bytes at a time.  Some processors could do it with carry-less
 * multiplication; this is three times as fast as MD5, and no cloud's connection is faster.
 */
#include "src/hash.h"
#include <pthread.h>

#define CRC64_POLY 0x9a6c9329ac4bc9b5u /* reflected; "NVM Command Set Specification", 5.2.1.3.4 */

static uint64_t slices[8][256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
crc64_init(void)
{
	for (unsigned value = 0; value < 256; value++) {
		uint64_t crc = value;

		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? CRC64_POLY : 0);
		slices[0][value] = crc;
	}
	for (unsigned slice = 1; slice < 8; slice++) {
		for (unsigned value = 0; value < 256; value++) {
			uint64_t crc = slices[slice - 1][value];

			slices[slice][value] = slices[0][crc & 0xff] ^ crc >> 8;
		}
	}
}

uint64_t
crc64(uint64_t crc, const void *data, size_t len)
{
	const unsigned char *p = data;

	pthread_once(&once, crc64_init);
	crc = ~crc;
	for (; len >= 8; p += 8, len -= 8) {
		for (unsigned i = 0; i < 8; i++)
			crc ^= (uint64_t)p[i] << 8 * i;
		crc = slices[7][crc & 0xff] ^ slices[6][crc >> 8 & 0xff] ^
		    slices[5][crc >> 16 & 0xff] ^ slices[4][crc >> 24 & 0xff] ^
		    slices[3][crc >> 32 & 0xff] ^ slices[2][crc >> 40 & 0xff] ^
		    slices[1][crc >> 48 & 0xff] ^ slices[0][crc >> 56];
	}
	for (; len > 0; p++, len--)
		crc = slices[0][(crc ^ *p) & 0xff] ^ crc >> 8;
	return ~crc;
}
