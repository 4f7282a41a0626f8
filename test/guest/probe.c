/* What each function of understudy.h answers, as a program says it: `answer=ANSWER errno=ERRNO`. */
#include "understudy.h"

int main(int count, char **arguments) {
  int answer = -2;
  errno = 0;
  if (count == 3 && strcmp(arguments[1], "checkpoint") == 0) {
    answer = us_checkpoint(arguments[2]);
  } else if (count == 5 && strcmp(arguments[1], "sync") == 0) {
    answer = us_sync(arguments[2], atoi(arguments[3]), arguments[4]);
  } else if (count == 2 && strcmp(arguments[1], "committed") == 0) {
    answer = us_committed();
  }
  printf("answer=%d errno=%d\n", answer, answer == -1 ? errno : 0);
  return 0;
}
