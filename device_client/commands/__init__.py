"""The commands of the program `obclip`, one file each."""
