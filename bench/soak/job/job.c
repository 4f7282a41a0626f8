/*
 * A numeric job in several processes that checkpoints itself with understudy.h: what
 * `npm run soak -- job` runs in a guest, and, with `--plain`, on the host for comparison.
 *
 *     job DIR PROCESSES PERIOD_MS          until DIR/finish is there, at a checkpoint
 *     job --plain LINES                    prints what a run of so many lines must have written
 *
 * Each process iterates a map of integers. Process 0 writes a line `K VALUE` to DIR/out for each
 * STEPS of its iterations. Every PERIOD_MS all processes meet in us_sync; a restart appends
 * `PROCESS ITERATION` to DIR/restarts. Nothing of it depends on time but where the checkpoints are.
 */
#include "understudy.h"

#include <inttypes.h>
#include <stdint.h>
#include <sys/wait.h>

#define STEPS 20000

static uint64_t step(uint64_t value) {
  value ^= value << 13;
  value ^= value >> 7;
  value ^= value << 17;
  return value + UINT64_C(0x9e3779b97f4a7c15);
}

static uint64_t block(uint64_t value) {
  int left;
  for (left = STEPS; left > 0; left -= 1) value = step(value);
  return value;
}

static void append(const char *dir, const char *name, const char *text) {
  char path[256];
  int file;
  snprintf(path, sizeof path, "%s/%s", dir, name);
  file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
  if (file == -1 || write(file, text, strlen(text)) != (ssize_t)strlen(text)) {
    perror(path);
    exit(1);
  }
  close(file);
}

static int is_there(const char *dir, const char *name) {
  char path[256];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  return access(path, F_OK) == 0;
}

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void work(const char *dir, int process, int processes, int period_ms) {
  uint64_t value = (uint64_t)process + 1;
  int64_t due = now_ms() + period_ms;
  uint64_t iteration;
  char text[96];
  /* All processes do as many: they meet after as many iterations as process 0 says. */
  for (iteration = 1;; iteration += 1) {
    int answer;
    value = block(value);
    if (process == 0) {
      snprintf(text, sizeof text, "%" PRIu64 " %016" PRIx64 "\n", iteration, value);
      append(dir, "out", text);
    }
    if (processes == 1 && now_ms() < due) continue;
    if (processes > 1 && iteration % 8 != 0) continue;
    snprintf(text, sizeof text, "iteration %" PRIu64, iteration);
    answer = processes == 1 ? us_checkpoint(text) : us_sync("job", processes, text);
    if (answer == 1) {
      snprintf(text, sizeof text, "%d %" PRIu64 "\n", process, iteration);
      append(dir, "restarts", text);
    }
    due = now_ms() + period_ms;
    if (is_there(dir, "finish")) return;
    if (processes > 1) usleep((useconds_t)period_ms * 1000);
  }
}

int main(int count, char **arguments) {
  int process, processes, period_ms;
  if (count == 3 && strcmp(arguments[1], "--plain") == 0) {
    uint64_t value = 1, line, lines = strtoull(arguments[2], NULL, 10);
    for (line = 1; line <= lines; line += 1) {
      value = block(value);
      printf("%" PRIu64 " %016" PRIx64 "\n", line, value);
    }
    return 0;
  }
  if (count != 4) {
    fprintf(stderr, "usage: job DIR PROCESSES PERIOD_MS | job --plain LINES\n");
    return 2;
  }
  processes = atoi(arguments[2]);
  period_ms = atoi(arguments[3]);
  for (process = 1; process < processes; process += 1) {
    if (fork() == 0) {
      work(arguments[1], process, processes, period_ms);
      return 0;
    }
  }
  work(arguments[1], 0, processes, period_ms);
  while (wait(NULL) > 0) continue;
  append(arguments[1], "done", "done\n");
  return 0;
}
