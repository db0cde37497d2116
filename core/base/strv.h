/* SPDX-License-Identifier: Apache-2.0 */
/* NULL-ended vectors of owned strings; NULL is the empty vector. */
#ifndef SSM_BASE_STRV_H
#define SSM_BASE_STRV_H

#include <stdbool.h>
#include <stddef.h>

size_t strv_len(char *const *v);
/* Append a copy (add) or take ownership (push). *V may be NULL before. */
void strv_add(char ***v, const char *s);
void strv_push(char ***v, char *s);
void strv_addf(char ***v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool strv_has(char *const *v, const char *s);
char **strv_dup(char *const *v);
/* Split at any character of SEPS, empty fields dropped, white space around fields trimmed. */
char **strv_split(const char *s, const char *seps);
char *strv_join(char *const *v, const char *sep); /* caller frees; "" when empty */
/* Environment style: replace or add "NAME=VALUE"; VALUE NULL removes. */
void strv_env_set(char ***v, const char *name, const char *value);
const char *strv_env_get(char *const *v, const char *name); /* borrowed or NULL */
char **strv_free(char **v);				    /* returns NULL */
void strv_cleanup(char ***v);
#define autostrv __attribute__((cleanup(strv_cleanup)))

#endif
