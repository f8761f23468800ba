/* The one binary: a table of commands and the few words that stand before it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "command.h"
#include "microtome/system.h"
#include "talk.h"

static const mt_command *const commands[] = {
    &mt_cmd_info,  &mt_cmd_tissue, &mt_cmd_tiles,  &mt_cmd_run, &mt_cmd_models,
    &mt_cmd_qc,    &mt_cmd_synth, &mt_cmd_bench,  &mt_cmd_doctor, &mt_cmd_stain, NULL,
};

static const mt_command *find(const char *name)
{
    for (const mt_command *const *c = commands; *c; c++)
        if (!strcmp((*c)->name, name)) return *c;
    return NULL;
}

static int unknown(const char *name)
{
    mt_say("microtome: \"%s\" is no command", name);
    fputs("usage: microtome COMMAND [arguments] (more: microtome help)\n", stderr);
    return MT_EXIT_USAGE;
}

/* `microtome help [CMD]` and, for the build, `microtome --man [CMD]`. */
static int describe(int argc, char **argv, void (*program)(const mt_command *const *, FILE *),
                    void (*one)(const mt_command *, FILE *))
{
    if (argc < 3) {
        program(commands, stdout);
        return MT_EXIT_OK;
    }
    const mt_command *cmd = find(argv[2]);
    if (!cmd) return unknown(argv[2]);
    one(cmd, stdout);
    return MT_EXIT_OK;
}

static int run_command(const mt_command *cmd, int argc, char **argv)
{
    void *opts = NULL;
    char **args = NULL;
    int n_args = 0;
    mt_talk_name(cmd->name);
    int code = mt_command_parse(cmd, argc, argv, &opts, &n_args, &args);
    if (code >= 0) return code;
    code = cmd->run(opts, n_args, args);
    mt_command_release(cmd, &opts);
    return code;
}

static int dispatch(int argc, char **argv)
{
    if (argc < 2) {
        mt_program_help(commands, stderr);
        return MT_EXIT_USAGE;
    }
    const char *word = argv[1];
    if (!strcmp(word, "help") || !strcmp(word, "--help") || !strcmp(word, "-h"))
        return describe(argc, argv, mt_program_help, mt_command_help);
    if (!strcmp(word, "--man")) return describe(argc, argv, mt_program_man, mt_command_man);
    if (!strcmp(word, "--version") || !strcmp(word, "version")) {
        printf("microtome %s (kernels %s)\n", mt_version(), mt_cpu_name());
        return MT_EXIT_OK;
    }
    const mt_command *cmd = find(word);
    return cmd ? run_command(cmd, argc - 1, argv + 1) : unknown(word);
}

int main(int argc, char **argv)
{
    int code = dispatch(argc, argv);
    /* A full disk shows itself only when the last bytes go out. */
    int lost = ferror(stdout);
    if (fclose(stdout) || lost) {
        mt_say("microtome: standard output could not be written");
        if (code == MT_EXIT_OK) code = MT_EXIT_FAILED;
    }
    return code;
}
