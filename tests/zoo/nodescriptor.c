/* SPDX-License-Identifier: Apache-2.0 */
/* A library, but no plugin. */
int nodescriptor_answer(void);

__attribute__((visibility("default"))) int
nodescriptor_answer(void)
{
	return 42;
}
