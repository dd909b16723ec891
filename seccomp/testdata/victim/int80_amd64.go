package main

// int80 makes a call of the i386 ABI.
func int80(nr uint32) int32
