dnl SPDX-License-Identifier: Apache-2.0
dnl Switches for the plugins of this tree, and the probe for a library that the core needs.

# SSM_LIBRARY(VARIABLE, MODULE, DEBIAN-PACKAGE)
# Sets VARIABLE_CFLAGS and VARIABLE_LIBS, or adds the package to $ssm_missing: all are named at once.
AC_DEFUN([SSM_LIBRARY],
[PKG_CHECK_MODULES([$1], [$2], [], [ssm_missing="$ssm_missing $3"])])

# SSM_PLUGINS
# --disable-plugins sets the default of every plugin to no; --enable-plugin-NAME still wins.
AC_DEFUN([SSM_PLUGINS],
[AC_ARG_ENABLE([plugins],
	[AS_HELP_STRING([--disable-plugins], [build only the plugins that are named])],
	[], [enable_plugins=yes])
AS_CASE([$enable_plugins], [yes|no], [],
	[AC_MSG_ERROR([--enable-plugins=$enable_plugins: the value is yes or no])])
AC_ARG_ENABLE([static-plugins],
	[AS_HELP_STRING([--enable-static-plugins@<:@=LIST@:>@],
		[build all plugins, or those of LIST, into ssm-plugin-host @<:@no@:>@])],
	[], [enable_static_plugins=no])
ssm_static_wanted=`AS_ECHO(["$enable_static_plugins"]) | tr ',' ' '`
ssm_plugin_summary=
SSM_PLUGINS_STATIC=
SSM_PLUGINS_BUILT=
SSM_PLUGINS_KNOWN=
AC_SUBST([SSM_PLUGINS_BUILT])])

# SSM_PLUGIN_ARG(NAME, DEFAULT, HELP, MISSING)
# Adds --enable-plugin-NAME=yes|no|auto. MISSING is a shell word: the libraries that were not found,
# empty when all are there. "yes" with a missing library stops; "auto" leaves the plugin out.
# Sets the automake conditionals PLUGIN_<NAME in capitals>, and STATIC_<NAME> for one that becomes a
# part of ssm-plugin-host.
AC_DEFUN([SSM_PLUGIN_ARG],
[AC_REQUIRE([SSM_PLUGINS])dnl
AC_ARG_ENABLE([plugin-$1],
	[AS_HELP_STRING([--enable-plugin-$1=yes|no|auto], [$3 @<:@$2@:>@])],
	[ssm_plugin=$enableval],
	[AS_IF([test $enable_plugins = no], [ssm_plugin=no], [ssm_plugin=$2])])
ssm_plugin_missing="m4_normalize([$4])"
AS_CASE([$ssm_plugin], [yes|no|auto], [],
	[AC_MSG_ERROR([--enable-plugin-$1=$ssm_plugin: the value is yes, no or auto])])
AS_IF([test $ssm_plugin = no],
		[ssm_plugin_word=no],
	[test -z "$ssm_plugin_missing"],
		[ssm_plugin_word=yes],
	[test $ssm_plugin = yes],
		[AC_MSG_ERROR([--enable-plugin-$1=yes: plugin $1 needs $ssm_plugin_missing, which is missing])],
	[ssm_plugin=no
	 ssm_plugin_word="no (missing: $ssm_plugin_missing)"])
SSM_PLUGINS_KNOWN="$SSM_PLUGINS_KNOWN $1"
AS_IF([test $ssm_plugin != no], [SSM_PLUGINS_BUILT="$SSM_PLUGINS_BUILT $1"])
AM_CONDITIONAL([PLUGIN_]m4_toupper([$1]), [test $ssm_plugin != no])
AS_CASE([" $ssm_static_wanted "],
	[" no "], [ssm_plugin_static=no],
	[" yes " | *" $1 "*], [ssm_plugin_static=$ssm_plugin],
	[ssm_plugin_static=no])
AM_CONDITIONAL([STATIC_]m4_toupper([$1]), [test $ssm_plugin_static != no])
AS_IF([test $ssm_plugin_static != no],
	[SSM_PLUGINS_STATIC="$SSM_PLUGINS_STATIC $1"
	 ssm_plugin_word="$ssm_plugin_word, in ssm-plugin-host"])
ssm_plugin_summary="$ssm_plugin_summary    AS_ESCAPE([$1])	$ssm_plugin_word
"])

# SSM_PLUGINS_END
# After the last SSM_PLUGIN_ARG: a name in --enable-static-plugins=LIST that is no plugin stops.
AC_DEFUN([SSM_PLUGINS_END],
[AC_DEFINE_UNQUOTED([SSM_IN_TREE_PLUGINS], ["$SSM_PLUGINS_KNOWN "],
	[Plugins of this tree: of two that provide the same, they go before others.])
AC_DEFINE_UNQUOTED([SSM_STATIC_PLUGINS], ["$SSM_PLUGINS_STATIC "],
	[Plugins that are a part of ssm-plugin-host.])
AM_CONDITIONAL([STATIC_PLUGINS], [test -n "$SSM_PLUGINS_STATIC"])
AS_IF([test -n "$SSM_PLUGINS_STATIC"],
	[AC_DEFINE([SSM_PRELOADED], [1], [Define if ssm-plugin-host carries plugins.])])
AS_CASE([$ssm_static_wanted], [yes|no], [],
	[for ssm_name in $ssm_static_wanted; do
		AS_CASE([" $SSM_PLUGINS_STATIC "], [*" $ssm_name "*], [],
			[AC_MSG_ERROR([--enable-static-plugins: there is no plugin $ssm_name, or it is not built])])
	done])])
