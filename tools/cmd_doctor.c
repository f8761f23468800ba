/* microtome doctor: what this machine can do, what is missing. */
#include <stdio.h>
#include "command.h"
#include "microtome/system.h"
#include "talk.h"

struct opts {
    int json;
};

static const mt_opt options[] = {
    OPT_FLAG("json", json, "print JSON"),
    OPT_END,
};

static void print_line(void *ctx, int ok, const char *name, const char *text)
{
    (void)ctx;
    printf("%-4s  %-16s %s\n", ok ? "ok" : "FAIL", name, MT_CLEAN(text));
}

static void add_line(void *ctx, int ok, const char *name, const char *text)
{
    json_array_append_new(
        ctx, json_pack("{s:b, s:o, s:o}", "ok", ok, "name", mt_js(name), "text", mt_js(text)));
}

static int run(const void *o, int n_args, char **args)
{
    (void)n_args;
    (void)args;
    const struct opts *opts = o;
    json_t *list = json_array();
    int failed = opts->json ? mt_doctor(add_line, list) : mt_doctor(print_line, NULL);
    int code = MT_EXIT_OK;
    if (opts->json)
        code = mt_json_print(json_pack("{s:s, s:s, s:i, s:i, s:O}", "version", mt_version(),
                                       "kernels", mt_cpu_name(), "cores", mt_cpu_count(), "failed",
                                       failed, "checks", list));
    else if (failed)
        mt_say("microtome doctor: %d check%s failed", failed, failed == 1 ? "" : "s");
    json_decref(list);
    return failed ? MT_EXIT_FAILED : code;
}

static const struct opts defaults = {0};
const mt_command mt_cmd_doctor = {
    .name = "doctor",
    .args = "[--json]",
    .summary = "Check this machine: kernels, libraries, built-in models",
    .about = "One line a check, \"ok\" or \"FAIL\" first. The exit code is 1 when a check failed.",
    .examples = "microtome doctor",
    .opts = options,
    .defaults = &defaults,
    .opts_size = sizeof defaults,
    .min_args = 0,
    .max_args = 0,
    .run = run,
};
