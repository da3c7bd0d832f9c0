/* Makes getpid through the i386 entry of an x86_64 kernel. */
#include <stdio.h>

int main(void) {
  int result = 20;
#ifdef __x86_64__
  __asm__ volatile("int $0x80" : "+a"(result) : : "memory");
#endif
  printf("%d\n", result);
  return 0;
}
