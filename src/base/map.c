/* Guarded maps. A read fault under a map (file cut short, I/O error) raises SIGBUS on the reading
 * thread; the handler puts a page of zeros there and marks the map. The reader goes on with zeros and
 * finds out when it asks. Faults elsewhere go to whoever handled SIGBUS before. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MAX_MAPS = 32768 }; /* below the kernel's usual limit of 65530 (vm.max_map_count) */

/* Read by the signal handler: atomics only. start is stored last and cleared first. */
static struct slot {
    atomic_uintptr_t start;
    atomic_size_t size;
    atomic_size_t fault_at; /* offset + 1 of the first fault, 0 when none */
} slots[MAX_MAPS];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction before;
static size_t page;

static void on_bus(int sig, siginfo_t *info, void *context)
{
    int saved = errno;
    uintptr_t at = (uintptr_t)info->si_addr;
    for (int i = 0; i < MAX_MAPS; i++) {
        uintptr_t start = atomic_load(&slots[i].start);
        if (!start || at < start || at - start >= atomic_load(&slots[i].size)) continue;
        /* Marked first: whoever reads a zero finds the mark. */
        size_t none = 0;
        atomic_compare_exchange_strong(&slots[i].fault_at, &none, at - start + 1);
        /* The bare system call: the library's mmap is not promised inside a signal handler, and a
         * sanitizer's takes the new page for a write that races with the readers. */
        uintptr_t hole = at & ~(uintptr_t)(page - 1);
        if (syscall(SYS_mmap, hole, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0L) == -1) break;
        errno = saved;
        return;
    }
    /* Not ours. */
    if (before.sa_flags & SA_SIGINFO) {
        before.sa_sigaction(sig, info, context);
    } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
        before.sa_handler(sig);
    } else {
        signal(sig, SIG_DFL); /* returning repeats the fault, now fatal */
    }
    errno = saved;
}

/* At every open, because a host program may have put a handler of its own in our place meanwhile. */
static void install(void)
{
    struct sigaction now, sa;
    if (sigaction(SIGBUS, NULL, &now) != 0 || (now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_bus)) return;
    page = (size_t)sysconf(_SC_PAGESIZE);
    memset(&sa, 0, sizeof sa);
    sa.sa_sigaction = on_bus;
    sa.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigemptyset(&sa.sa_mask);
    before = now;
    sigaction(SIGBUS, &sa, NULL);
}

static mt_status map_fd(mt_map *out, int fd, const char *name, mt_err *err)
{
    struct stat sb;
    if (fstat(fd, &sb) != 0) return mt_err_set(err, MT_ERR_IO, "%s: %s", name, strerror(errno));
    if (!S_ISREG(sb.st_mode)) return mt_err_set(err, MT_ERR_IO, "%s: not a regular file", name);
    if (sb.st_size == 0) return MT_OK;
    if ((uint64_t)sb.st_size > SIZE_MAX / 2) return mt_err_set(err, MT_ERR_LIMIT, "%s: too large to map", name);
    pthread_mutex_lock(&lock);
    install();
    void *p = mmap(NULL, (size_t)sb.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED) {
        pthread_mutex_unlock(&lock);
        return mt_err_set(err, errno == ENOMEM ? MT_ERR_NO_MEMORY : MT_ERR_IO, "%s: cannot map: %s", name,
                          strerror(errno));
    }
    static int next; /* where the search begins: opening many in a row stays linear */
    int i = next, looked = 0;
    while (looked < MAX_MAPS && atomic_load(&slots[i].start)) i = (i + 1) % MAX_MAPS, looked++;
    const bool full = looked == MAX_MAPS;
    if (!full) {
        next = (i + 1) % MAX_MAPS;
        atomic_store(&slots[i].size, (size_t)sb.st_size);
        atomic_store(&slots[i].fault_at, 0);
        atomic_store(&slots[i].start, (uintptr_t)p);
    }
    pthread_mutex_unlock(&lock);
    if (full) {
        munmap(p, (size_t)sb.st_size);
        return mt_err_set(err, MT_ERR_TEMPORARY, "%s: %d maps are open already", name, MAX_MAPS);
    }
    *out = (mt_map){p, (size_t)sb.st_size, i, (uint64_t)sb.st_ino};
    return MT_OK;
}

mt_status mt_map_open_as(mt_map *out, const char *path, const char *name, mt_err *err)
{
    *out = (mt_map)MT_MAP_INIT;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        mt_status code = errno == ENOENT || errno == ENOTDIR ? MT_ERR_NOT_FOUND
                       : errno == EMFILE || errno == ENFILE ? MT_ERR_TEMPORARY : MT_ERR_IO;
        return mt_err_set(err, code, "%s: cannot open: %s", name, strerror(errno));
    }
    mt_status st = map_fd(out, fd, name, err);
    close(fd);
    return st;
}

mt_status mt_map_open(mt_map *out, const char *path, mt_err *err)
{
    return mt_map_open_as(out, path, path, err);
}

void mt_map_close(mt_map *m)
{
    if (m->data) {
        /* Under the lock: a new map may get the same addresses as soon as these are free. */
        size_t size = m->size;
        int slot = m->slot;
        pthread_mutex_lock(&lock);
        munmap((void *)(uintptr_t)m->data, size);
        atomic_store(&slots[slot].start, 0);
        pthread_mutex_unlock(&lock);
    }
    *m = (mt_map)MT_MAP_INIT;
}

bool mt_map_faulted(const mt_map *m) { return m->data && atomic_load(&slots[m->slot].fault_at) != 0; }

mt_status mt_map_check(const mt_map *m, mt_err *err)
{
    if (!mt_map_faulted(m)) return MT_OK;
    return mt_err_set(err, MT_ERR_IO, "read fault at offset %zu of %zu: the file was cut short or the disk failed",
                      atomic_load(&slots[m->slot].fault_at) - 1, m->size);
}

mt_status mt_map_check_whole(const mt_map *m, const char *path, mt_err *err)
{
    struct stat sb;
    MT_TRY(mt_map_check(m, err));
    if (stat(path, &sb) != 0 || (uint64_t)sb.st_ino != m->inode || (uint64_t)sb.st_size >= m->size)
        return MT_OK;
    return mt_err_set(err, MT_ERR_IO, "the file was cut short: %llu of %zu bytes are left",
                      (unsigned long long)sb.st_size, m->size);
}
