/*
 * A numeric job that checkpoints itself with understudy.h: what `npm run soak -- job` runs in a
 * guest, and, with `--plain`, on the host for comparison.
 *
 *     job DIR NAME PROCESSES LINES     appends LINES lines to DIR/NAME.out, then DIR/NAME.done
 *     job --plain LINES                prints what a run of so many lines must have written
 *
 * Each process iterates a map of integers; process 0 writes a line `K VALUE` for each STEPS of its
 * iterations. One process alone asks for a checkpoint every second; several meet in us_sync after
 * every MEETING lines. A restart appends `PROCESS LINE` to DIR/NAME.restarts. Nothing that is
 * written to the lines depends on time.
 */
#include "understudy.h"

#include <inttypes.h>
#include <stdint.h>
#include <sys/wait.h>

#define STEPS 1000000
#define MEETING 8
#define PERIOD_MS 1000

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

static void append(const char *dir, const char *name, const char *kind, const char *text) {
  char path[256];
  int file;
  snprintf(path, sizeof path, "%s/%s.%s", dir, name, kind);
  file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
  if (file == -1 || write(file, text, strlen(text)) != (ssize_t)strlen(text)) {
    perror(path);
    exit(1);
  }
  close(file);
}

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void work(const char *dir, const char *name, int process, int processes, uint64_t lines) {
  uint64_t value = (uint64_t)process + 1;
  int64_t due = now_ms() + PERIOD_MS;
  uint64_t line;
  char text[96];
  for (line = 1; line <= lines; line += 1) {
    int answer;
    value = block(value);
    if (process == 0) {
      snprintf(text, sizeof text, "%" PRIu64 " %016" PRIx64 "\n", line, value);
      append(dir, name, "out", text);
    }
    if (processes == 1 ? now_ms() < due : line % MEETING != 0) continue;
    snprintf(text, sizeof text, "%s at %" PRIu64, name, line);
    answer = processes == 1 ? us_checkpoint(text) : us_sync(name, processes, text);
    if (answer == 1) {
      snprintf(text, sizeof text, "%d %" PRIu64 "\n", process, line);
      append(dir, name, "restarts", text);
    }
    due = now_ms() + PERIOD_MS;
  }
}

int main(int count, char **arguments) {
  int process, processes;
  uint64_t lines;
  if (count == 3 && strcmp(arguments[1], "--plain") == 0) {
    uint64_t value = 1, line;
    lines = strtoull(arguments[2], NULL, 10);
    for (line = 1; line <= lines; line += 1) {
      value = block(value);
      printf("%" PRIu64 " %016" PRIx64 "\n", line, value);
    }
    return 0;
  }
  if (count != 5) {
    fprintf(stderr, "usage: job DIR NAME PROCESSES LINES | job --plain LINES\n");
    return 2;
  }
  processes = atoi(arguments[3]);
  lines = strtoull(arguments[4], NULL, 10);
  for (process = 1; process < processes; process += 1) {
    if (fork() == 0) {
      work(arguments[1], arguments[2], process, processes, lines);
      return 0;
    }
  }
  work(arguments[1], arguments[2], 0, processes, lines);
  while (wait(NULL) > 0) continue;
  append(arguments[1], arguments[2], "done", "done\n");
  return 0;
}
