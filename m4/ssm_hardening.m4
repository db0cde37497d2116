dnl SPDX-License-Identifier: Apache-2.0
dnl Compiler and linker flags: each is probed, none is taken on faith.

# SSM_FLAG(VARIABLE, FLAG, compile|link)
# Append FLAG to VARIABLE if the compiler (or the linker) takes it without a warning.
AC_DEFUN([SSM_FLAG],
[AS_VAR_PUSHDEF([ssm_cache], [ssm_cv_flag_$3_$2])dnl
AC_CACHE_CHECK([whether $CC takes $2], [ssm_cache],
[ssm_flag_CFLAGS=$CFLAGS
CFLAGS="$CFLAGS -Werror $2"
m4_if([$3], [link],
[AC_LINK_IFELSE([AC_LANG_PROGRAM()], [AS_VAR_SET([ssm_cache], [yes])], [AS_VAR_SET([ssm_cache], [no])])],
[AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[#include <string.h>]])],
	[AS_VAR_SET([ssm_cache], [yes])], [AS_VAR_SET([ssm_cache], [no])])])
CFLAGS=$ssm_flag_CFLAGS])
AS_VAR_IF([ssm_cache], [yes], [AS_VAR_APPEND([$1], [" $2"])])
AS_VAR_POPDEF([ssm_cache])dnl
])

AC_DEFUN([SSM_COMPILE_FLAGS], [m4_foreach_w([ssm_f], [$2], [SSM_FLAG([$1], m4_defn([ssm_f]), [compile])
])])
AC_DEFUN([SSM_LINK_FLAGS], [m4_foreach_w([ssm_f], [$2], [SSM_FLAG([$1], m4_defn([ssm_f]), [link])
])])

# SSM_SWITCH(NAME, HELP): --enable-NAME, off unless asked for.
AC_DEFUN([SSM_SWITCH],
[AC_ARG_ENABLE([$1], [AS_HELP_STRING([--enable-$1], [$2])], [], [enable_$1=no])
AS_CASE([$enable_$1], [yes|no], [], [AC_MSG_ERROR([--enable-$1=$enable_$1: the value is yes or no])])])

# SSM_HARDENING
# WARN_CFLAGS       for all sources
# WARN_CONVERSION   additionally for base and codecs
# HARDEN_CFLAGS     for all sources; HARDEN_CPPFLAGS likewise
# PROG_LDFLAGS      for programs
# PLUGIN_LDFLAGS_Z  for plugins
AC_DEFUN([SSM_HARDENING],
[SSM_SWITCH([werror], [a warning is an error])
SSM_SWITCH([sanitizers], [address and undefined-behaviour sanitizers])
SSM_SWITCH([coverage], [record coverage for gcov])
SSM_SWITCH([fuzzers], [fuzz targets for make fuzz, with the sanitizers; needs clang])

SSM_COMPILE_FLAGS([WARN_CFLAGS], [-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes
	-Wvla -Wformat=2 -Wpointer-arith -Wwrite-strings -Wundef])
SSM_COMPILE_FLAGS([WARN_CONVERSION], [-Wconversion -Wno-sign-conversion])
SSM_COMPILE_FLAGS([HARDEN_CFLAGS], [-fvisibility=hidden -fno-common -ffunction-sections -fdata-sections
	-fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIE])
SSM_LINK_FLAGS([PROG_LDFLAGS], [-pie -Wl,--as-needed -Wl,--gc-sections -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack])
SSM_LINK_FLAGS([PLUGIN_LDFLAGS_Z], [-Wl,--as-needed -Wl,--gc-sections -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack])

AS_IF([test $enable_fuzzers = yes], [enable_sanitizers=yes])
AS_IF([test $enable_sanitizers = yes],
	[SSM_SANITIZERS],
	[SSM_COMPILE_FLAGS([HARDEN_CPPFLAGS], [-D_FORTIFY_SOURCE=2])])
AS_IF([test $enable_fuzzers = yes], [SSM_FUZZERS])
AM_CONDITIONAL([FUZZERS], [test $enable_fuzzers = yes])
AS_IF([test $enable_coverage = yes],
	[HARDEN_CFLAGS="$HARDEN_CFLAGS --coverage -fprofile-update=atomic"
	 PROG_LDFLAGS="$PROG_LDFLAGS --coverage"
	 PLUGIN_LDFLAGS_Z="$PLUGIN_LDFLAGS_Z --coverage"])

# A plugin with an unresolved symbol shall not link. clang links the sanitizers' run time only
# into programs, so there -z defs would refuse every plugin.
AC_CACHE_CHECK([whether $CC is clang], [ssm_cv_clang],
	[AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[
#ifndef __clang__
#error not clang
#endif
]])], [ssm_cv_clang=yes], [ssm_cv_clang=no])])
AS_IF([test $enable_sanitizers$ssm_cv_clang != yesyes],
	[PLUGIN_LDFLAGS_Z="$PLUGIN_LDFLAGS_Z -Wl,-z,defs"])

AS_IF([test $enable_werror = yes], [WARN_CFLAGS="$WARN_CFLAGS -Werror"])
ssm_hardening="$HARDEN_CPPFLAGS$HARDEN_CFLAGS$PROG_LDFLAGS"
AC_SUBST([WARN_CFLAGS])
AC_SUBST([WARN_CONVERSION])
AC_SUBST([HARDEN_CFLAGS])
AC_SUBST([HARDEN_CPPFLAGS])
AC_SUBST([PROG_LDFLAGS])
AC_SUBST([PLUGIN_LDFLAGS_Z])
AC_SUBST([FUZZ_LDFLAGS])])

# All code tells the fuzzer where it has been; FUZZ_LDFLAGS brings the fuzzer's main into a target.
AC_DEFUN([SSM_FUZZERS],
[AC_MSG_CHECKING([whether $CC links with -fsanitize=fuzzer])
ssm_flag_CFLAGS=$CFLAGS
CFLAGS="$CFLAGS -fsanitize=fuzzer"
AC_LINK_IFELSE([AC_LANG_SOURCE([[
#include <stddef.h>
#include <stdint.h>
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return data && size == 0; }
]])], [AC_MSG_RESULT([yes])],
	[AC_MSG_RESULT([no])
	 AC_MSG_ERROR([--enable-fuzzers: $CC cannot link with -fsanitize=fuzzer; it takes CC=clang and its run time (Debian: clang, libclang-rt-14-dev)])])
CFLAGS=$ssm_flag_CFLAGS
HARDEN_CFLAGS="$HARDEN_CFLAGS -fsanitize=fuzzer-no-link"
FUZZ_LDFLAGS=-fsanitize=fuzzer])

AC_DEFUN([SSM_SANITIZERS],
[ssm_sanitize="-fsanitize=address,undefined"
AC_MSG_CHECKING([whether $CC links with $ssm_sanitize])
ssm_flag_CFLAGS=$CFLAGS
CFLAGS="$CFLAGS $ssm_sanitize"
AC_LINK_IFELSE([AC_LANG_PROGRAM()], [AC_MSG_RESULT([yes])],
	[AC_MSG_RESULT([no])
	 AC_MSG_ERROR([--enable-sanitizers: $CC cannot link with $ssm_sanitize (gcc: libasan and libubsan; clang: libclang-rt-dev)])])
CFLAGS=$ssm_flag_CFLAGS
HARDEN_CFLAGS="$HARDEN_CFLAGS $ssm_sanitize -fno-sanitize-recover=undefined -fno-omit-frame-pointer"
PROG_LDFLAGS="$PROG_LDFLAGS $ssm_sanitize"
PLUGIN_LDFLAGS_Z="$PLUGIN_LDFLAGS_Z $ssm_sanitize"])
