/*
 * CRC32C (Castagnoli): by tables eight bytes at a time, or by the processor's instruction with
 * three streams at once, because one crc32 instruction waits three cycles for the one before it.
 */
#include "src/hash.h"
#include <pthread.h>
#include <string.h>
#if defined(__aarch64__)
#include <sys/auxv.h>
#ifndef HWCAP_CRC32
#define HWCAP_CRC32 (1 << 7)
#endif
#endif

#define CRC32C_POLY  0x82f63b78u /* reflected */
#define CRC32C_LONG  ((size_t)8192) /* bytes of one of the three streams */
#define CRC32C_SHORT ((size_t)256)

static uint32_t slices[8][256];
/* What a CRC becomes when n zero bytes follow, byte by byte of the CRC: it is linear. */
static uint32_t shift_long[4][256], shift_short[4][256];
static bool has_instruction;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Without the inversions at both ends. */
static uint32_t
crc32c_slices(uint32_t crc, const unsigned char *p, size_t len)
{
	for (; len >= 8; p += 8, len -= 8) {
		uint32_t low = crc ^
		    ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
			(uint32_t)p[3] << 24);

		crc = slices[7][low & 0xff] ^ slices[6][low >> 8 & 0xff] ^
		    slices[5][low >> 16 & 0xff] ^ slices[4][low >> 24] ^ slices[3][p[4]] ^
		    slices[2][p[5]] ^ slices[1][p[6]] ^ slices[0][p[7]];
	}
	for (; len > 0; p++, len--)
		crc = slices[0][(crc ^ *p) & 0xff] ^ crc >> 8;
	return crc;
}

static void
crc32c_init_shift(uint32_t shift[4][256], size_t zeros)
{
	static const unsigned char nothing[CRC32C_LONG];
	uint32_t basis[32];
	unsigned bit, byte, value;

	for (bit = 0; bit < 32; bit++)
		basis[bit] = crc32c_slices(1u << bit, nothing, zeros);
	for (byte = 0; byte < 4; byte++) {
		for (value = 0; value < 256; value++) {
			shift[byte][value] = 0;
			for (bit = 0; bit < 8; bit++) {
				if (value & 1u << bit)
					shift[byte][value] ^= basis[8 * byte + bit];
			}
		}
	}
}

static void
crc32c_init(void)
{
	unsigned i, k;

	for (i = 0; i < 256; i++) {
		uint32_t crc = i;

		for (k = 0; k < 8; k++)
			crc = crc >> 1 ^ (crc & 1 ? CRC32C_POLY : 0);
		slices[0][i] = crc;
	}
	for (i = 0; i < 256; i++) {
		for (k = 1; k < 8; k++)
			slices[k][i] = slices[k - 1][i] >> 8 ^ slices[0][slices[k - 1][i] & 0xff];
	}
	crc32c_init_shift(shift_long, CRC32C_LONG);
	crc32c_init_shift(shift_short, CRC32C_SHORT);
#if defined(__x86_64__)
	has_instruction = __builtin_cpu_supports("sse4.2");
#elif defined(__aarch64__)
	has_instruction = (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
#endif
}

#if defined(__x86_64__) || defined(__aarch64__)
#if defined(__x86_64__)
#define CRC32C_TARGET __attribute__((target("sse4.2")))

static inline CRC32C_TARGET uint32_t
crc32c_u64(uint32_t crc, uint64_t v)
{
	return (uint32_t)__builtin_ia32_crc32di(crc, v);
}

static inline CRC32C_TARGET uint32_t
crc32c_u8(uint32_t crc, unsigned char v)
{
	return __builtin_ia32_crc32qi(crc, v);
}
#else
#define CRC32C_TARGET

/* By name: the two compilers disagree on when arm_acle.h declares the intrinsics. */
static inline uint32_t
crc32c_u64(uint32_t crc, uint64_t v)
{
	__asm__(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(crc) : "r"(v));
	return crc;
}

static inline uint32_t
crc32c_u8(uint32_t crc, unsigned char v)
{
	__asm__(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1" : "+r"(crc) : "r"((uint32_t)v));
	return crc;
}
#endif

static inline uint64_t
crc32c_load(const unsigned char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v); /* both processors are little-endian under Linux */
	return v;
}

static inline uint32_t
crc32c_shift(uint32_t shift[4][256], uint32_t crc)
{
	return shift[0][crc & 0xff] ^ shift[1][crc >> 8 & 0xff] ^ shift[2][crc >> 16 & 0xff] ^
	    shift[3][crc >> 24];
}

/* Three neighbouring streams of `block` bytes each, joined into one CRC. */
static inline CRC32C_TARGET uint32_t
crc32c_three(uint32_t crc, const unsigned char *p, size_t block, uint32_t shift[4][256])
{
	const unsigned char *end = p + block;
	uint32_t second = 0, third = 0;

	for (; p < end; p += 8) {
		crc = crc32c_u64(crc, crc32c_load(p));
		second = crc32c_u64(second, crc32c_load(p + block));
		third = crc32c_u64(third, crc32c_load(p + 2 * block));
	}
	return crc32c_shift(shift, crc32c_shift(shift, crc) ^ second) ^ third;
}

static CRC32C_TARGET uint32_t
crc32c_instruction(uint32_t crc, const unsigned char *p, size_t len)
{
	for (; len >= 3 * CRC32C_LONG; p += 3 * CRC32C_LONG, len -= 3 * CRC32C_LONG)
		crc = crc32c_three(crc, p, CRC32C_LONG, shift_long);
	for (; len >= 3 * CRC32C_SHORT; p += 3 * CRC32C_SHORT, len -= 3 * CRC32C_SHORT)
		crc = crc32c_three(crc, p, CRC32C_SHORT, shift_short);
	for (; len >= 8; p += 8, len -= 8)
		crc = crc32c_u64(crc, crc32c_load(p));
	for (; len > 0; p++, len--)
		crc = crc32c_u8(crc, *p);
	return crc;
}
#else
#define crc32c_instruction crc32c_slices
#endif

uint32_t
crc32c(uint32_t crc, const void *data, size_t len)
{
	pthread_once(&once, crc32c_init);
	if (has_instruction)
		return ~crc32c_instruction(~crc, data, len);
	return ~crc32c_slices(~crc, data, len);
}

uint32_t
crc32c_portable(uint32_t crc, const void *data, size_t len)
{
	pthread_once(&once, crc32c_init);
	return ~crc32c_slices(~crc, data, len);
}

/* a * b modulo the polynomial, all of them reflected: the highest bit is x^0. */
static uint32_t
crc32c_multiply(uint32_t a, uint32_t b)
{
	uint32_t product = 0;

	for (; a != 0; a <<= 1) {
		if (a & 0x80000000u)
			product ^= b;
		b = b >> 1 ^ (b & 1 ? CRC32C_POLY : 0);
	}
	return product;
}

/* What comes in front is multiplied by x^(8 * b_len): by squaring. */
uint32_t
crc32c_combine(uint32_t a, uint32_t b, uint64_t b_len)
{
	uint32_t power = 0x00800000u; /* x^8 */

	for (; b_len != 0; b_len >>= 1) {
		if (b_len & 1)
			a = crc32c_multiply(a, power);
		power = crc32c_multiply(power, power);
	}
	return a ^ b;
}
