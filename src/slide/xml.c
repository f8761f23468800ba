#include "slide/xml.h"

#include <expat.h>
#include <string.h>
#include <strings.h>
#include "base/buf.h"

enum { SEPARATOR = '\n', MAX_ATTRS = 1024 };

typedef struct builder {
    XML_Parser parser;
    mt_xml *xml;
    mt_xml_node *open; /* innermost element that has begun */
    mt_buf text;       /* since the last tag */
    int depth;
    mt_status fault;
    const char *why;
} builder;

static void fail(builder *b, mt_status code, const char *why)
{
    if (b->fault != MT_OK) return;
    b->fault = code;
    b->why = why;
    XML_StopParser(b->parser, XML_FALSE);
}

/* expat writes "namespace SEPARATOR name". */
static const char *local_name(const char *name)
{
    const char *cut = strrchr(name, SEPARATOR);
    return cut ? cut + 1 : name;
}

static char *keep(builder *b, const char *s, size_t n)
{
    char *copy = mt_arena_strdup(&b->xml->arena, s, n);
    if (!copy) fail(b, MT_ERR_LIMIT, "too much of it");
    return copy;
}

static void XMLCALL on_start(void *ctx, const XML_Char *name, const XML_Char **attrs)
{
    builder *b = ctx;
    b->text.len = 0;
    if (++b->depth > MT_XML_MAX_DEPTH) {
        fail(b, MT_ERR_LIMIT, "nested too deep");
        return;
    }
    int n = 0;
    while (attrs[2 * n])
        n++;
    if (n > MAX_ATTRS) {
        fail(b, MT_ERR_LIMIT, "too many attributes");
        return;
    }
    const char *local = local_name(name);
    mt_xml_node *node = mt_arena_alloc(&b->xml->arena, sizeof *node);
    mt_xml_attr *list = n ? mt_arena_alloc(&b->xml->arena, (size_t)n * sizeof *list) : NULL;
    if (!node || (n && !list)) {
        fail(b, MT_ERR_LIMIT, "too much of it");
        return;
    }
    node->name = keep(b, local, strlen(local));
    node->space = local > name ? keep(b, name, (size_t)(local - name) - 1) : "";
    node->text = "";
    for (int i = 0; i < n && b->fault == MT_OK; i++) {
        const char *attr = local_name(attrs[2 * i]);
        list[i].name = keep(b, attr, strlen(attr));
        list[i].value = keep(b, attrs[2 * i + 1], strlen(attrs[2 * i + 1]));
    }
    if (b->fault != MT_OK) return;
    node->attrs = list;
    node->n_attrs = n;
    node->parent = b->open;
    if (!b->open)
        b->xml->root = node;
    else if (!b->open->first)
        b->open->first = b->open->last = node;
    else
        b->open->last = b->open->last->next = node;
    b->open = node;
}

static void XMLCALL on_end(void *ctx, const XML_Char *name)
{
    builder *b = ctx;
    if (b->fault != MT_OK) return;
    mt_xml_node *node = b->open;
    if (!node->first && b->text.len) {
        node->text = keep(b, (const char *)b->text.data, b->text.len);
        node->n_text = b->text.len;
    }
    b->text.len = 0;
    b->open = node->parent;
    b->depth--;
}

static void XMLCALL on_text(void *ctx, const XML_Char *s, int n)
{
    builder *b = ctx;
    mt_buf_append(&b->text, s, (size_t)n);
    if (b->text.failed) fail(b, MT_ERR_LIMIT, "too much of it");
}

static void XMLCALL on_doctype(void *ctx, const XML_Char *name, const XML_Char *sysid,
                               const XML_Char *pubid, int has_internal)
{
    fail(ctx, MT_ERR_UNSUPPORTED, "a DOCTYPE, which no slide needs");
}

static void free_parser(XML_Parser *p)
{
    if (*p) XML_ParserFree(*p);
}

/* Descriptions in TIFF's 8-bit text that call themselves UTF-16: what a program's string said of
 * itself before it was written. */
static const char *true_encoding(const char *text, size_t n)
{
    enum { LOOK = 80 };
    static const char claim[] = "encoding=\"utf-16\"";
    for (size_t i = 0; n > 4 && text[0] == '<' && text[1] && i < LOOK && i + sizeof claim <= n; i++)
        if (!strncasecmp(text + i, claim, sizeof claim - 1)) return "UTF-8";
    return NULL;
}

mt_status mt_xml_parse(mt_xml *out, const void *text, size_t n, const char *what, mt_err *err)
{
    *out = (mt_xml){{NULL, 0, 2 * MT_XML_MAX_BYTES}, NULL};
    if (n > MT_XML_MAX_BYTES) return mt_err_set(err, MT_ERR_LIMIT, "%s: XML of %zu bytes", what, n);
    MT_AUTO(free_parser) XML_Parser parser = XML_ParserCreateNS(true_encoding(text, n), SEPARATOR);
    if (!parser) return mt_err_set(err, MT_ERR_NO_MEMORY, "%s", what);
    builder b = {.parser = parser, .xml = out, .text = MT_BUF_INIT(MT_XML_MAX_BYTES)};
    XML_SetUserData(parser, &b);
    XML_SetElementHandler(parser, on_start, on_end);
    XML_SetCharacterDataHandler(parser, on_text);
    XML_SetStartDoctypeDeclHandler(parser, on_doctype);
    const enum XML_Status status = XML_Parse(parser, text, (int)n, 1);
    mt_buf_free(&b.text);
    if (status == XML_STATUS_OK && b.fault == MT_OK) return MT_OK;
    return mt_err_set(err, b.fault != MT_OK ? b.fault : MT_ERR_FORMAT,
                      "%s: XML, line %lu, column %lu: %s", what,
                      (unsigned long)XML_GetCurrentLineNumber(parser),
                      (unsigned long)XML_GetCurrentColumnNumber(parser),
                      b.why ? b.why : XML_ErrorString(XML_GetErrorCode(parser)));
}

void mt_xml_free(mt_xml *x)
{
    mt_arena_free(&x->arena);
    x->root = NULL;
}

static const mt_xml_node *this_or_later(const mt_xml_node *n, const char *name)
{
    while (n && name && strcmp(n->name, name))
        n = n->next;
    return n;
}

const mt_xml_node *mt_xml_child(const mt_xml_node *node, const char *name)
{
    return node ? this_or_later(node->first, name) : NULL;
}

const mt_xml_node *mt_xml_next(const mt_xml_node *node, const char *name)
{
    return node ? this_or_later(node->next, name) : NULL;
}

const char *mt_xml_attr_of(const mt_xml_node *node, const char *name)
{
    for (int i = 0; node && i < node->n_attrs; i++)
        if (!strcmp(node->attrs[i].name, name)) return node->attrs[i].value;
    return NULL;
}

const char *mt_xml_text_of(const mt_xml_node *node, const char *name)
{
    const mt_xml_node *child = mt_xml_child(node, name);
    return child ? child->text : NULL;
}

const mt_xml_node *mt_xml_walk(const mt_xml_node *root, const mt_xml_node *after, const char *name)
{
    for (const mt_xml_node *n = after; n;) {
        if (n->first)
            n = n->first;
        else {
            while (n != root && !n->next)
                n = n->parent;
            if (n == root) return NULL;
            n = n->next;
        }
        if (!name || !strcmp(n->name, name)) return n;
    }
    return NULL;
}
