// Package workprint says what of a job's script and arguments tells one work from another, without keeping their text: a
// digest of the text with its numbers taken out, and the numbers.
//
// Two texts have the same digest when they differ in numbers, white space, comments, #SBATCH lines and secrets only. Secrets
// (package mask) are taken out before, also where they go on in the next line: nobody can try guesses of one that package mask
// finds against a digest. One that it does not find (-pword) can be guessed. What package mask finds is part of what a digest
// means, so a change there parts runs before it from runs after it.
//
// It is small, and free of regular expressions, because the wrapper of every submission computes it.
package workprint
