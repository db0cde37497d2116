dnl SPDX-License-Identifier: Apache-2.0
dnl SSM_PLUGIN_PREREQ([MINIMUM-ABI])
dnl For configure.ac of plugins of ssm-agent. Sets and substitutes SSM_CFLAGS, SSM_LDFLAGS,
dnl ssmplugindir, ssmconfdir, SSM_HOST (the program that tries a plugin).
AC_DEFUN([SSM_PLUGIN_PREREQ],
[AC_REQUIRE([PKG_PROG_PKG_CONFIG])dnl
PKG_CHECK_MODULES([SSM], [ssm-plugin >= $1])
SSM_LDFLAGS=`$PKG_CONFIG --variable=ldflags ssm-plugin`
SSM_HOST=`$PKG_CONFIG --variable=host ssm-plugin`
ssmplugindir=`$PKG_CONFIG --variable=plugindir ssm-plugin`
ssmconfdir=`$PKG_CONFIG --variable=confdir ssm-plugin`
AC_SUBST([SSM_LDFLAGS])
AC_SUBST([SSM_HOST])
AC_SUBST([ssmplugindir])
AC_SUBST([ssmconfdir])
])
