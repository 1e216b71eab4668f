/* SPDX-License-Identifier: BSD-2-Clause */
#include "ndis/nrt_config.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include <ndis/ndisstatus.h>

#include "ndis/nrt_alloc.h"
#include "ndis/nrt_string.h"

#define KEYWORD_NAME_MAX 63 /* characters */

/* What one NdisReadConfiguration() gave; lives until the configuration is closed. */
struct answer {
	NDIS_CONFIGURATION_PARAMETER value; /* first: its address is what the driver has */
	struct answer *next;
};

struct config {
	uint32_t magic;
	struct nrt_adapter *adapter;
	struct answer *answers;
};

static struct nrt_keyword *find(const struct nrt_adapter *adapter, const char *name)
{
	size_t i;

	for (i = 0; i < adapter->keyword_count; i++)
		if (strcasecmp(adapter->keywords[i].name, name) == 0)
			return &adapter->keywords[i];
	return NULL;
}

int nrt_adapter_keyword(const struct nrt_adapter *adapter, const char *name, uint32_t *value)
{
	const struct nrt_keyword *keyword = find(adapter, name);

	if (!keyword)
		return -ENOENT;
	*value = keyword->value;
	return 0;
}

int nrt_config_set(struct nrt_adapter *adapter, const char *name, uint32_t value)
{
	struct nrt_keyword *keyword = find(adapter, name), *grown;
	char *copy;

	if (keyword) {
		keyword->value = value;
		return 0;
	}
	copy = nrt_strdup(name);
	grown = nrt_zalloc((adapter->keyword_count + 1) * sizeof(*grown));
	if (!copy || !grown) {
		nrt_free(copy);
		nrt_free(grown);
		return -ENOMEM;
	}
	if (adapter->keyword_count)
		memcpy(grown, adapter->keywords, adapter->keyword_count * sizeof(*grown));
	grown[adapter->keyword_count] = (struct nrt_keyword){ copy, value };
	nrt_free(adapter->keywords);
	adapter->keywords = grown;
	adapter->keyword_count++;
	return 0;
}

void nrt_config_clear(struct nrt_adapter *adapter)
{
	size_t i;

	for (i = 0; i < adapter->keyword_count; i++)
		nrt_free((char *)adapter->keywords[i].name);
	nrt_free(adapter->keywords);
	adapter->keywords = NULL;
	adapter->keyword_count = 0;
}

NDIS_STATUS nrt_config_open(struct nrt_adapter *adapter, NDIS_HANDLE *out)
{
	struct config *config = nrt_zalloc(sizeof(*config));

	if (!config)
		return NDIS_STATUS_RESOURCES;
	config->magic = NRT_MAGIC_CONFIG;
	config->adapter = adapter;
	*out = config;
	return NDIS_STATUS_SUCCESS;
}

void nrt_config_close(NDIS_HANDLE handle)
{
	struct config *config = handle;
	struct answer *answer;

	NRT_ASSERT_DRIVER(config->magic == NRT_MAGIC_CONFIG);
	while ((answer = config->answers)) {
		config->answers = answer->next;
		nrt_free(answer);
	}
	config->magic = NRT_MAGIC_DEAD;
	nrt_free(config);
}

static const struct nrt_keyword *find_wide(const struct nrt_adapter *adapter,
					   const NDIS_STRING *name)
{
	size_t i;

	for (i = 0; i < adapter->keyword_count; i++)
		if (nrt_string_is(name, adapter->keywords[i].name, true))
			return &adapter->keywords[i];
	return NULL;
}

NDIS_STATUS nrt_config_read(NDIS_HANDLE handle, const NDIS_STRING *keyword,
			    NDIS_PARAMETER_TYPE type, NDIS_CONFIGURATION_PARAMETER **out)
{
	struct config *config = handle;
	const struct nrt_keyword *found;
	struct answer *answer;

	NRT_ASSERT_DRIVER(config->magic == NRT_MAGIC_CONFIG);
	found = find_wide(config->adapter, keyword);
	if (!found || (type != NdisParameterInteger && type != NdisParameterHexInteger))
		return NDIS_STATUS_FAILURE;
	answer = nrt_zalloc(sizeof(*answer));
	if (!answer)
		return NDIS_STATUS_RESOURCES;
	answer->value.ParameterType = type;
	answer->value.ParameterData.IntegerData = found->value;
	answer->next = config->answers;
	config->answers = answer;
	*out = &answer->value;
	return NDIS_STATUS_SUCCESS;
}

NDIS_STATUS nrt_config_write(NDIS_HANDLE handle, const NDIS_STRING *keyword,
			     const NDIS_CONFIGURATION_PARAMETER *value)
{
	struct config *config = handle;
	char name[KEYWORD_NAME_MAX + 1];
	size_t length = keyword->Length / sizeof(WCHAR), i;

	NRT_ASSERT_DRIVER(config->magic == NRT_MAGIC_CONFIG);
	if (value->ParameterType != NdisParameterInteger &&
	    value->ParameterType != NdisParameterHexInteger)
		return NDIS_STATUS_NOT_SUPPORTED;
	if (!length || length > KEYWORD_NAME_MAX)
		return NDIS_STATUS_FAILURE;
	for (i = 0; i < length; i++)
		name[i] = keyword->Buffer[i] < 128 ? (char)keyword->Buffer[i] : '?';
	name[length] = '\0';
	return nrt_config_set(config->adapter, name, value->ParameterData.IntegerData) < 0
		       ? NDIS_STATUS_RESOURCES
		       : NDIS_STATUS_SUCCESS;
}
