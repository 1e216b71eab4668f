/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nrt_driver.c - drivers and what they register.
 *
 * A driver registers its characteristics; inside that call its SetOptions callback runs and may add
 * chimney functions with NdisSetOptionalHandlers(): provider structures for a miniport driver,
 * client structures for a protocol driver (or later, for one binding of it). All four arrive
 * through one pointer and are told apart by their object type.
 */
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <ndis/ndisstatus.h>

#include "base/log.h"
#include "ndis/nrt_alloc.h"
#include "ndis/nrt_binding.h"
#include "ndis/nrt_driver.h"

static pthread_mutex_t control_lock;
static pthread_once_t control_once = PTHREAD_ONCE_INIT;
static struct nrt_driver *drivers; /* all kinds; under the lock */

static void control_init(void)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&control_lock, &attr);
	pthread_mutexattr_destroy(&attr);
}

void nrt_lock(void)
{
	pthread_once(&control_once, control_init);
	pthread_mutex_lock(&control_lock);
}

void nrt_unlock(void)
{
	pthread_mutex_unlock(&control_lock);
}

struct nrt_driver *nrt_driver_from(NDIS_HANDLE handle)
{
	struct nrt_driver *driver = handle;

	if (driver && (driver->magic == NRT_MAGIC_MINIPORT_DRIVER ||
		       driver->magic == NRT_MAGIC_PROTOCOL_DRIVER))
		return driver;
	NRT_ASSERT_DRIVER(!"a driver handle");
	return NULL;
}

/* A copy of a characteristics structure; shorter ones (older revisions) leave the rest zero. */
static void copy_characteristics(void *to, size_t to_size, const NDIS_OBJECT_HEADER *from)
{
	memset(to, 0, to_size);
	memcpy(to, from, from->Size < to_size ? from->Size : to_size);
}

static void link_driver(struct nrt_driver *driver)
{
	struct nrt_driver **link = &drivers;

	while (*link)
		link = &(*link)->next;
	*link = driver;
}

static void unlink_driver(struct nrt_driver *driver)
{
	struct nrt_driver **link = &drivers, *other;

	while (*link != driver)
		link = &(*link)->next;
	*link = driver->next;
	for (other = drivers; other; other = other->next)
		if (other->other_edge == driver)
			other->other_edge = NULL;
	nrt_chimney_clear(&driver->chimney);
	driver->magic = NRT_MAGIC_DEAD;
	nrt_free(driver);
}

bool nrt_driver_known(const struct nrt_driver *driver)
{
	const struct nrt_driver *each;

	nrt_lock();
	for (each = drivers; each && each != driver; each = each->next)
		;
	nrt_unlock();
	return each;
}

bool nrt_driver_is_im(const struct nrt_driver *miniport)
{
	return miniport->miniport.Flags & NDIS_INTERMEDIATE_DRIVER;
}

struct nrt_driver *nrt_driver_other_edge(const struct nrt_driver *miniport)
{
	return miniport->other_edge;
}

void nrt_driver_associate(struct nrt_driver *miniport, struct nrt_driver *protocol)
{
	if (miniport && protocol)
		miniport->other_edge = protocol;
}

void nrt_driver_label_miniport(struct nrt_driver *driver, const char *adapter_name)
{
	if (!driver->label[0])
		snprintf(driver->label, sizeof(driver->label), "the driver of %s", adapter_name);
}

static void label_protocol(struct nrt_driver *driver, const NDIS_STRING *name)
{
	size_t length = name->Length / sizeof(WCHAR), i;

	for (i = 0; i < length && i + 1 < sizeof(driver->label); i++)
		driver->label[i] = name->Buffer[i] < 128 ? (char)name->Buffer[i] : '?';
}

/* The SetOptions callback of a driver that has one; a failure undoes the registration. */
static NDIS_STATUS run_set_options(struct nrt_driver *driver, SET_OPTIONS_HANDLER set_options,
				   NDIS_HANDLE *out)
{
	NDIS_STATUS status = NDIS_STATUS_SUCCESS;

	link_driver(driver);
	*out = driver;
	if (set_options)
		status = set_options(driver, driver->context);
	if (status != NDIS_STATUS_SUCCESS) {
		unlink_driver(driver);
		*out = NULL;
	}
	return status;
}

static bool miniport_ok(const NDIS_MINIPORT_DRIVER_CHARACTERISTICS *given)
{
	return given->Header.Type == NDIS_OBJECT_TYPE_MINIPORT_DRIVER_CHARACTERISTICS &&
	       given->Header.Size > offsetof(NDIS_MINIPORT_DRIVER_CHARACTERISTICS, HaltHandlerEx) &&
	       given->InitializeHandlerEx && given->HaltHandlerEx;
}

NDIS_STATUS nrt_register_miniport(NDIS_HANDLE context,
				  const NDIS_MINIPORT_DRIVER_CHARACTERISTICS *given,
				  NDIS_HANDLE *out)
{
	struct nrt_driver *driver;
	NDIS_STATUS status;

	if (!miniport_ok(given))
		return NDIS_STATUS_BAD_CHARACTERISTICS;
	driver = nrt_zalloc(sizeof(*driver));
	if (!driver)
		return NDIS_STATUS_RESOURCES;
	driver->magic = NRT_MAGIC_MINIPORT_DRIVER;
	driver->context = context;
	copy_characteristics(&driver->miniport, sizeof(driver->miniport), &given->Header);
	nrt_lock();
	status = run_set_options(driver, driver->miniport.SetOptionsHandler, out);
	nrt_unlock();
	return status;
}

static bool protocol_ok(const NDIS_PROTOCOL_DRIVER_CHARACTERISTICS *given)
{
	return given->Header.Type == NDIS_OBJECT_TYPE_PROTOCOL_DRIVER_CHARACTERISTICS &&
	       given->Header.Size >
		       offsetof(NDIS_PROTOCOL_DRIVER_CHARACTERISTICS, UnbindAdapterHandlerEx) &&
	       given->BindAdapterHandlerEx && given->UnbindAdapterHandlerEx;
}

NDIS_STATUS nrt_register_protocol(NDIS_HANDLE context,
				  const NDIS_PROTOCOL_DRIVER_CHARACTERISTICS *given,
				  NDIS_HANDLE *out)
{
	struct nrt_driver *driver;
	NDIS_STATUS status;

	if (!protocol_ok(given))
		return NDIS_STATUS_BAD_CHARACTERISTICS;
	driver = nrt_zalloc(sizeof(*driver));
	if (!driver)
		return NDIS_STATUS_RESOURCES;
	driver->magic = NRT_MAGIC_PROTOCOL_DRIVER;
	driver->context = context;
	copy_characteristics(&driver->protocol, sizeof(driver->protocol), &given->Header);
	label_protocol(driver, &driver->protocol.Name);
	nrt_lock();
	status = run_set_options(driver, driver->protocol.SetOptionsHandler, out);
	nrt_unlock();
	return status;
}

void nrt_deregister(NDIS_HANDLE handle, enum nrt_magic kind)
{
	struct nrt_driver *driver = nrt_driver_from(handle);

	NRT_ASSERT_DRIVER(driver && driver->magic == kind);
	if (!driver || driver->magic != kind)
		return;
	nrt_lock();
	if (kind == NRT_MAGIC_PROTOCOL_DRIVER)
		nrt_unbind_all(driver);
	NRT_ASSERT_DRIVER(driver->users == 0);
	if (driver->users)
		log_err("driver deregistered with %u adapters or bindings left", driver->users);
	else
		unlink_driver(driver);
	nrt_unlock();
}

unsigned int nrt_for_each_protocol(unsigned int (*fn)(struct nrt_driver *driver, void *ctx),
				   void *ctx)
{
	struct nrt_driver *driver, *next;
	unsigned int sum = 0;

	nrt_lock();
	for (driver = drivers; driver; driver = next) {
		next = driver->next;
		if (driver->magic == NRT_MAGIC_PROTOCOL_DRIVER)
			sum += fn(driver, ctx);
	}
	nrt_unlock();
	return sum;
}

/*
 * The four structures. What each must have besides its header, and whether it belongs to a miniport
 * or protocol driver. Flags is reserved: not looked at.
 */
static bool provider_generic_ok(const NDIS_OBJECT_HEADER *header)
{
	const nrt_provider_generic *given = (const void *)header;

	return given->InitiateOffloadHandler && given->TerminateOffloadHandler &&
	       given->UpdateOffloadHandler && given->InvalidateOffloadHandler &&
	       given->QueryOffloadHandler;
}

static bool provider_tcp_ok(const NDIS_OBJECT_HEADER *header)
{
	const nrt_provider_tcp *given = (const void *)header;

	return given->OffloadType == NdisTcpChimneyOffload && given->TcpOffloadSendHandler &&
	       given->TcpOffloadReceiveHandler && given->TcpOffloadDisconnectHandler &&
	       given->TcpOffloadForwardHandler && given->TcpOffloadReceiveReturnHandler;
}

static bool client_generic_ok(const NDIS_OBJECT_HEADER *header)
{
	const nrt_client_generic *given = (const void *)header;

	return given->InitiateOffloadCompleteHandler && given->TerminateOffloadCompleteHandler &&
	       given->UpdateOffloadCompleteHandler && given->InvalidateOffloadCompleteHandler &&
	       given->QueryOffloadCompleteHandler && given->IndicateOffloadEventHandler;
}

static bool client_tcp_ok(const NDIS_OBJECT_HEADER *header)
{
	const nrt_client_tcp *given = (const void *)header;

	return given->OffloadType == NdisTcpChimneyOffload &&
	       given->TcpOffloadSendCompleteHandler && given->TcpOffloadReceiveCompleteHandler &&
	       given->TcpOffloadDisconnectCompleteHandler &&
	       given->TcpOffloadForwardCompleteHandler && given->TcpOffloadEventHandler &&
	       given->TcpOffloadReceiveIndicateHandler;
}

static const struct chimney_kind {
	unsigned char type;
	bool provider;
	uint16_t size;   /* bytes that must be there */
	uint16_t member; /* offset of the pointer in struct nrt_chimney */
	bool (*ok)(const NDIS_OBJECT_HEADER *header);
} chimney_kinds[] = {
	{ NDIS_OBJECT_TYPE_PROVIDER_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS, true,
	  sizeof(nrt_provider_generic), offsetof(struct nrt_chimney, provider_generic),
	  provider_generic_ok },
	{ NDIS_OBJECT_TYPE_PROVIDER_CHIMNEY_OFFLOAD_CHARACTERISTICS, true, sizeof(nrt_provider_tcp),
	  offsetof(struct nrt_chimney, provider_tcp), provider_tcp_ok },
	{ NDIS_OBJECT_TYPE_CLIENT_CHIMNEY_OFFLOAD_GENERIC_CHARACTERISTICS, false,
	  sizeof(nrt_client_generic), offsetof(struct nrt_chimney, client_generic),
	  client_generic_ok },
	{ NDIS_OBJECT_TYPE_CLIENT_CHIMNEY_OFFLOAD_CHARACTERISTICS, false, sizeof(nrt_client_tcp),
	  offsetof(struct nrt_chimney, client_tcp), client_tcp_ok },
};

static const struct chimney_kind *find_kind(unsigned char type)
{
	size_t i;

	for (i = 0; i < sizeof(chimney_kinds) / sizeof(chimney_kinds[0]); i++)
		if (chimney_kinds[i].type == type)
			return &chimney_kinds[i];
	return NULL;
}

static NDIS_STATUS record(struct nrt_chimney *chimney, bool provider,
			  const NDIS_OBJECT_HEADER *given)
{
	const struct chimney_kind *kind = find_kind(given->Type);
	void **member, *copy;

	if (!kind || kind->provider != provider)
		return NDIS_STATUS_BAD_CHARACTERISTICS;
	if (given->Size < kind->size)
		return NDIS_STATUS_BAD_VERSION;
	if (!kind->ok(given))
		return NDIS_STATUS_BAD_CHARACTERISTICS;
	copy = nrt_zalloc(kind->size);
	if (!copy)
		return NDIS_STATUS_RESOURCES;
	memcpy(copy, given, kind->size);
	member = (void **)((char *)chimney + kind->member);
	nrt_free(*member);
	*member = copy;
	return NDIS_STATUS_SUCCESS;
}

void nrt_chimney_clear(struct nrt_chimney *chimney)
{
	nrt_free(chimney->provider_generic);
	nrt_free(chimney->provider_tcp);
	nrt_free(chimney->client_generic);
	nrt_free(chimney->client_tcp);
	memset(chimney, 0, sizeof(*chimney));
}

NDIS_STATUS nrt_set_optional_handlers(NDIS_HANDLE handle, const NDIS_OBJECT_HEADER *given)
{
	struct nrt_open *open = handle;
	struct nrt_driver *driver;
	NDIS_STATUS status;

	if (open->magic == NRT_MAGIC_OPEN) {
		nrt_lock();
		status = record(&open->chimney, false, given);
		nrt_open_update(open);
		nrt_unlock();
		return status;
	}
	driver = nrt_driver_from(handle);
	if (!driver)
		return NDIS_STATUS_INVALID_PARAMETER;
	nrt_lock();
	status = record(&driver->chimney, driver->magic == NRT_MAGIC_MINIPORT_DRIVER, given);
	nrt_unlock();
	return status;
}
