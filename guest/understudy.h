/*
 * understudy.h: a process asks the hypervisor's fault tolerance for a checkpoint of its machine.
 *
 * Header only, no dependency; C99 and C++, Linux. The machine needs `ports: [agent]` in its VM
 * file and, to keep snapshots, `snapshots` in its pair file (docs/guest-port.md). Everything in the
 * machine is in a checkpoint: this process, others, their pipes, sockets, shared memory and files.
 *
 *     int us_checkpoint(const char *label);
 *         Like setjmp: 0 when the machine is saved, 1 when this is a restart from what was saved
 *         here, -1 and errno when it could not be saved.
 *
 *     int us_sync(const char *name, int n, const char *label);
 *         A barrier of n processes of this machine, and a checkpoint when all have come: each
 *         returns what us_checkpoint returned.
 *
 *     int us_committed(void);
 *         Returns 0 when a takeover would repeat everything that was done up to here.
 *
 * errno: EAGAIN (the machine is not protected at the moment), EOPNOTSUPP (the pair keeps no
 * snapshots), ENOSPC, EIO, EINVAL, ETIMEDOUT (nobody answers for US_ANSWER_MS), ENOENT or ENXIO (no
 * port), EACCES. Define US_PORT, US_ANSWER_MS or US_SYNC_DIR before including it for others than
 * the defaults; the environment's UNDERSTUDY_PORT and UNDERSTUDY_SYNC_DIR go before them.
 *
 * Threads: calls of one process wait for each other by the port's lock; us_sync counts processes.
 */
#ifndef UNDERSTUDY_H
#define UNDERSTUDY_H

#if !defined(_DEFAULT_SOURCE) && !defined(_GNU_SOURCE)
#define _DEFAULT_SOURCE /* flock, cfmakeraw; before the first system header of the file */
#endif

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#ifndef US_PORT
#define US_PORT "/dev/ttyS1"
#endif
#ifndef US_SYNC_DIR
#define US_SYNC_DIR "/run"
#endif
#ifndef US_ANSWER_MS
#define US_ANSWER_MS 30000
#endif

#define US_ASK_AGAIN_MS 1000
#define US_SYNC_MAX 64

#if defined(__GNUC__)
#define US_MAYBE_UNUSED __attribute__((unused))
#else
#define US_MAYBE_UNUSED
#endif

static int us__fail(int error) {
  errno = error;
  return -1;
}

static const char *us__setting(const char *name, const char *fallback) {
  const char *value = getenv(name);
  return value != NULL && value[0] != '\0' ? value : fallback;
}

/* The port, raw and locked against other processes, or -1. */
static int us__open(void) {
  struct termios settings;
  int saved;
  int port = open(us__setting("UNDERSTUDY_PORT", US_PORT), O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (port == -1) return -1;
  while (flock(port, LOCK_EX) == -1) {
    if (errno != EINTR) goto failed;
  }
  if (tcgetattr(port, &settings) == -1) goto failed;
  cfmakeraw(&settings);
  /* How long the port waits for more before it hands over what it has. */
  cfsetispeed(&settings, B115200);
  cfsetospeed(&settings, B115200);
  settings.c_cflag |= CLOCAL | CREAD;
  if (tcsetattr(port, TCSANOW, &settings) == -1) goto failed;
  /* What was said to somebody who did not wait for it. */
  tcflush(port, TCIFLUSH);
  return port;
failed:
  saved = errno;
  close(port);
  return us__fail(saved);
}

static int us__write(int port, const char *text) {
  size_t left = strlen(text);
  while (left > 0) {
    ssize_t written = write(port, text, left);
    if (written == -1 && errno != EINTR) return -1;
    if (written > 0) {
      text += written;
      left -= (size_t)written;
    }
  }
  return 0;
}

/* One line of the node without its end, at most size - 1 bytes; 0 when none came in time. */
static int us__line(int port, char *line, size_t size, int ms) {
  size_t at = 0;
  for (;;) {
    struct pollfd ready;
    char byte;
    int is_ready;
    ssize_t got;
    ready.fd = port;
    ready.events = POLLIN;
    ready.revents = 0;
    is_ready = poll(&ready, 1, ms);
    if (is_ready == -1 && errno != EINTR) return -1;
    if (is_ready == 0) return 0;
    if (is_ready == -1) continue;
    got = read(port, &byte, 1);
    if (got == -1 && errno != EINTR && errno != EAGAIN) return -1;
    if (got == 0) return us__fail(EIO);
    if (got != 1) continue;
    if (byte == '\n') {
      line[at] = '\0';
      if (at > 0) return 1;
    } else if (at + 1 < size) {
      line[at++] = byte;
    }
  }
}

/* Never the same twice, as far as anybody can tell. */
static unsigned us__nonce(void) {
  unsigned nonce = 0;
  struct timespec now;
  int file = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
  if (file != -1) {
    if (read(file, &nonce, sizeof nonce) != (ssize_t)sizeof nonce) nonce = 0;
    close(file);
  }
  clock_gettime(CLOCK_MONOTONIC, &now);
  return nonce ^ ((unsigned)getpid() << 16) ^ (unsigned)now.tv_nsec;
}

/* Asks until it is answered: a word that is lost at a takeover is said again. */
static int us__ask(char word, const char *label) {
  char request[160];
  char answer[32];
  char nonce[9];
  int silent_ms = 0;
  int result;
  int saved;
  int port = us__open();
  if (port == -1) return -1;
  snprintf(nonce, sizeof nonce, "%08x", us__nonce() & 0xffffffffu);
  snprintf(request, sizeof request, "%c %s %.63s\n", word, nonce, label == NULL ? "" : label);
  result = us__write(port, request);
  while (result == 0 && silent_ms < US_ANSWER_MS) {
    int got = us__line(port, answer, sizeof answer, US_ASK_AGAIN_MS);
    if (got == -1) {
      result = -1;
    } else if (got == 0) {
      silent_ms += US_ASK_AGAIN_MS;
      result = us__write(port, request);
    } else if (answer[0] != '\0' && answer[1] == ' ' && strncmp(answer + 2, nonce, 8) == 0) {
      silent_ms = 0;
      if (answer[0] == 'W') continue;
      saved = answer[0] == 'E' && answer[10] == ' ' ? atoi(answer + 11) : 0;
      close(port);
      if (answer[0] == 'S') return 0;
      if (answer[0] == 'R') return 1;
      return us__fail(saved > 0 ? saved : EIO);
    }
  }
  saved = result == -1 ? errno : ETIMEDOUT;
  close(port);
  return us__fail(saved);
}

US_MAYBE_UNUSED static int us_checkpoint(const char *label) { return us__ask('C', label); }

US_MAYBE_UNUSED static int us_committed(void) { return us__ask('O', NULL); }

/* A barrier: a small text file that all of its processes read and write under its lock. */
struct us__barrier {
  /* How many times all have come. */
  long round;
  int n;
  /* Takes the checkpoint of this round; 0: nobody does. */
  long leader;
  /* Of rounds with an even and with an odd number: what each returns, and errno. */
  int result[2];
  int error[2];
  int count;
  long pids[US_SYNC_MAX];
};

static int us__load(int file, struct us__barrier *barrier) {
  char text[64 + US_SYNC_MAX * 21];
  char *next;
  ssize_t got = pread(file, text, sizeof text - 1, 0);
  int index;
  memset(barrier, 0, sizeof *barrier);
  if (got <= 0) return (int)got;
  text[got] = '\0';
  next = text;
  barrier->round = strtol(next, &next, 10);
  barrier->n = (int)strtol(next, &next, 10);
  barrier->leader = strtol(next, &next, 10);
  for (index = 0; index < 2; index += 1) {
    barrier->result[index] = (int)strtol(next, &next, 10);
    barrier->error[index] = (int)strtol(next, &next, 10);
  }
  barrier->count = 0;
  while (barrier->count < US_SYNC_MAX) {
    long pid = strtol(next, &next, 10);
    if (pid <= 0) break;
    /* Who has died does not come any more. */
    if (kill((pid_t)pid, 0) == 0 || errno == EPERM) barrier->pids[barrier->count++] = pid;
  }
  return 0;
}

static int us__store(int file, const struct us__barrier *barrier) {
  char text[64 + US_SYNC_MAX * 21];
  int index;
  int at = snprintf(text, sizeof text, "%ld %d %ld %d %d %d %d", barrier->round, barrier->n,
                    barrier->leader, barrier->result[0], barrier->error[0], barrier->result[1],
                    barrier->error[1]);
  for (index = 0; index < barrier->count; index += 1) {
    at += snprintf(text + at, sizeof text - (size_t)at, " %ld", barrier->pids[index]);
  }
  at += snprintf(text + at, sizeof text - (size_t)at, "\n");
  if (ftruncate(file, 0) == -1) return -1;
  return pwrite(file, text, (size_t)at, 0) == at ? 0 : -1;
}

static int us__lock(int file) {
  while (flock(file, LOCK_EX) == -1) {
    if (errno != EINTR) return -1;
  }
  return 0;
}

/* Comes, if it has not; 1 when this process takes the checkpoint, 2 when it is taken. */
static int us__come(int file, struct us__barrier *barrier, int n, long *round) {
  const long self = (long)getpid();
  int index;
  if (us__load(file, barrier) == -1) return -1;
  if (*round == -1) {
    if (barrier->count > 0 && barrier->n != n) return us__fail(EINVAL);
    *round = barrier->round;
    barrier->n = n;
  }
  if (barrier->round != *round) return 2;
  for (index = 0; index < barrier->count; index += 1) {
    if (barrier->pids[index] == self) break;
  }
  if (index == barrier->count) {
    if (index == US_SYNC_MAX) return us__fail(EINVAL);
    barrier->pids[barrier->count++] = self;
  }
  for (index = 0; index < barrier->count; index += 1) {
    if (barrier->pids[index] == barrier->leader) break;
  }
  if (index == barrier->count) barrier->leader = 0;
  if (barrier->count < n || barrier->leader != 0) return us__store(file, barrier);
  barrier->leader = self;
  return us__store(file, barrier) == -1 ? -1 : 1;
}

US_MAYBE_UNUSED static int us_sync(const char *name, int n, const char *label) {
  struct us__barrier barrier;
  struct timespec pause;
  char path[256];
  long round = -1;
  int file;
  int saved = 0;
  int state = 0;
  if (name == NULL || name[0] == '\0' || strchr(name, '/') != NULL || strlen(name) > 64 || n < 1 ||
      n > US_SYNC_MAX) {
    return us__fail(EINVAL);
  }
  snprintf(path, sizeof path, "%.160s/understudy.%s", us__setting("UNDERSTUDY_SYNC_DIR", US_SYNC_DIR),
           name);
  file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file == -1) return -1;
  pause.tv_sec = 0;
  pause.tv_nsec = 10 * 1000 * 1000;
  while (state == 0) {
    if (us__lock(file) == -1) {
      state = -1;
      break;
    }
    state = us__come(file, &barrier, n, &round);
    if (state == 1) {
      int result;
      flock(file, LOCK_UN);
      result = us_checkpoint(label);
      saved = errno;
      if (us__lock(file) == -1 || us__load(file, &barrier) == -1) {
        state = -1;
        break;
      }
      barrier.result[round % 2] = result;
      barrier.error[round % 2] = saved;
      barrier.round = round + 1;
      barrier.leader = 0;
      barrier.count = 0;
      if (us__store(file, &barrier) == -1) {
        state = -1;
        break;
      }
      state = 2;
    }
    flock(file, LOCK_UN);
    if (state == 0) nanosleep(&pause, NULL);
  }
  saved = errno;
  close(file);
  if (state == -1) return us__fail(saved);
  if (barrier.result[round % 2] != -1) return barrier.result[round % 2];
  return us__fail(barrier.error[round % 2]);
}

#endif
