/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sal_stub.h - annotation words that drivers carry in their prototypes. They mean nothing to the
 * compiler here; they stay in driver sources as documentation.
 */
#ifndef NDIS_SAL_STUB_H
#define NDIS_SAL_STUB_H

#ifndef _In_
#define _In_
#define _In_opt_
#define _Out_
#define _Out_opt_
#define _Inout_
#define _Inout_opt_
#endif

#ifndef _IRQL_requires_
#define _IRQL_requires_(level)
#define _IRQL_requires_max_(level)
#define _IRQL_requires_min_(level)
#define _IRQL_requires_same_
#define _Must_inspect_result_
#define _Use_decl_annotations_
#define _Function_class_(name)
#endif

#ifndef IN
#define IN
#define OUT
#define OPTIONAL
#endif

#endif
