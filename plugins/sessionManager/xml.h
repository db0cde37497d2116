/* SPDX-License-Identifier: Apache-2.0 */
/* One text out of an XML answer of a service. Pure code. */
#ifndef SSM_SESSIONMANAGER_XML_H
#define SSM_SESSIONMANAGER_XML_H

#include <stddef.h>

enum xml_where {
	XML_CHILD,    /* of the root */
	XML_ANYWHERE, /* below the root */
};

/* The text of the first element NAME (whatever its prefix), entities decoded; it may be "". NULL:
 * there is none, it holds more than text, or the XML before it is broken. Caller frees. */
char *xml_text(const char *xml, size_t len, const char *name, enum xml_where where);

#endif
