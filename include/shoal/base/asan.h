/* ASAN: defined where AddressSanitizer watches, which gcc and clang tell differently. Memory that is kept for its next
 * use would hide from it what is used after its release. */
#ifndef SHOAL_BASE_ASAN_H
#define SHOAL_BASE_ASAN_H

#ifdef __SANITIZE_ADDRESS__
#define ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ASAN 1
#endif
#endif

#endif
