/* SPDX-License-Identifier: BSD-2-Clause */
#include "ndis/nrt_module.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ndis/ndisstatus.h>

#include "ndis/nrt_driver.h"
#include "ndis/nrt_status.h"
#include "ndis/nrt_string.h"

typedef NDIS_STATUS driver_entry_fn(PDRIVER_OBJECT object, PUNICODE_STRING registry_path);

struct _DRIVER_OBJECT {
	NDIS_HANDLE miniport;
	MINIPORT_DRIVER_UNLOAD unload;
};

struct nrt_module {
	struct _DRIVER_OBJECT object;
	void *library;
};

void nrt_module_registered(PDRIVER_OBJECT object, NDIS_HANDLE miniport,
			   MINIPORT_DRIVER_UNLOAD unload)
{
	if (!object)
		return;
	object->miniport = miniport;
	object->unload = unload;
}

static int explain_open(const char *path, char *why, size_t why_size)
{
	const char *error = dlerror();
	const char *undefined = error ? strstr(error, "undefined symbol: ") : NULL;

	if (undefined)
		snprintf(why, why_size,
			 "%s: %s is not there. A driver may use the functions of include/ndis and "
			 "the C "
			 "library; link everything else into it",
			 path, undefined + strlen("undefined symbol: "));
	else
		snprintf(why, why_size,
			 "%s. Give the path of a shared object (with a / in it), built by cc "
			 "-shared -fPIC",
			 error ? error : path);
	return undefined ? -ENOEXEC : -ENOENT;
}

static int run_entry(struct nrt_module *module, const char *path, char *why, size_t why_size)
{
	driver_entry_fn *entry = NULL;
	UNICODE_STRING registry_path = { 0 };
	NDIS_STATUS status;
	void *symbol = dlsym(module->library, "DriverEntry");

	if (!symbol) {
		snprintf(
			why, why_size,
			"%s: it has no DriverEntry. Define NDIS_STATUS DriverEntry(PDRIVER_OBJECT, "
			"PUNICODE_STRING) without static",
			path);
		return -ENOEXEC;
	}
	memcpy(&entry, &symbol, sizeof(entry));
	status = entry(&module->object, &registry_path);
	if (status != NDIS_STATUS_SUCCESS) {
		snprintf(why, why_size, "%s: DriverEntry returned %s", path,
			 nrt_status_name(status));
		return -EIO;
	}
	if (module->object.miniport)
		return 0;
	snprintf(why, why_size,
		 "%s: DriverEntry registered no miniport driver. Pass its PDRIVER_OBJECT to "
		 "NdisMRegisterMiniportDriver",
		 path);
	return -ENODEV;
}

static int check_kind(const struct nrt_module *module, enum nrt_module_kind kind, const char *path,
		      char *why, size_t why_size)
{
	bool im = nrt_driver_is_im(module->object.miniport);

	if (kind == NRT_MODULE_TARGET && im)
		snprintf(why, why_size,
			 "%s is an intermediate driver: it belongs into the list of --im, above a "
			 "target",
			 path);
	else if (kind == NRT_MODULE_IM && !im)
		snprintf(why, why_size,
			 "%s is not an intermediate driver: that sets NDIS_INTERMEDIATE_DRIVER in "
			 "its Flags. A target is loaded by --target",
			 path);
	else if (kind == NRT_MODULE_IM && !nrt_module_protocol(module))
		snprintf(why, why_size,
			 "%s: its protocol edge is not known. Register it in DriverEntry, then "
			 "call NdisIMAssociateMiniport",
			 path);
	else
		return 0;
	return -EMEDIUMTYPE;
}

int nrt_module_load(const char *path, enum nrt_module_kind kind, struct nrt_module **out, char *why,
		    size_t why_size)
{
	struct nrt_module *module = calloc(1, sizeof(*module));
	int err;

	if (!module)
		return -ENOMEM;
	module->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	err = module->library ? run_entry(module, path, why, why_size)
			      : explain_open(path, why, why_size);
	if (!err)
		err = check_kind(module, kind, path, why, why_size);
	if (err) {
		nrt_module_unload(module);
		return err;
	}
	*out = module;
	return 0;
}

NDIS_HANDLE nrt_module_miniport(const struct nrt_module *module)
{
	return module->object.miniport;
}

NDIS_HANDLE nrt_module_protocol(const struct nrt_module *module)
{
	return nrt_driver_other_edge(module->object.miniport);
}

void nrt_module_unload(struct nrt_module *module)
{
	if (!module)
		return;
	if (module->object.unload)
		module->object.unload(&module->object);
	if (module->library && (module->object.unload || !module->object.miniport))
		dlclose(module->library);
	free(module);
}
