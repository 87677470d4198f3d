#pragma once
// Include before the code of files whose float results must be the same bits everywhere: a compiler may otherwise turn a * b + c
// into one fused operation on processors that have it (GCC does by default on AArch64).
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif
