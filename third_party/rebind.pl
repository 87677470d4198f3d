#!/usr/bin/perl
# rebind.pl FILE: lets programs and libraries of Debian 13 run on Debian 12's glibc 2.36 and libstdc++ 12, and its lavapipe
# without window-system libraries.
#
# Changes no code, only the names by which the ELF file asks for others (little-endian ELF64):
#   1. __isoc23_strtol and its like become strtol and its like. Since glibc 2.38 the compiler picks the former; they
#      differ only in accepting binary literals. The demand for GLIBC_2.37 and later becomes one for the oldest version.
#      So does that for GLIBCXX_3.4.31 and later: every program of g++ 13 names an empty function of it that none calls.
#   2. Functions of X11, Wayland and displays become weak, and their libraries are no longer asked for: some are newer
#      than Debian 12's, and programs that only compute never call them.
#   3. The place of the first library so dropped becomes RPATH=$ORIGIN, so that libLLVM is found beside the driver.
# A symbol of a later version that is not of kind 1 ends the script: nothing is ever bound to a function that differs.
use strict;
use warnings;

my $window_library = qr/^lib(xcb|X11|wayland|xshmfence|display-info)/;
my $window_symbol = qr/^(xcb_|XGetXCB|wl_|xshmfence_|di_)/;
my $never_called = '_ZSt21ios_base_library_initv';

my ($file) = @ARGV;
open my $handle, '+<:raw', $file or die "$file: $!";
my $elf = do { local $/; <$handle> };
substr($elf, 0, 6) eq "\x7fELF\x02\x01" or die "$file: not a little-endian ELF64 file\n";

# Sections by type; all names live in the string table that .dynsym links to.
my ($table, $count) = (unpack('Q<', substr $elf, 40, 8), unpack('S<', substr $elf, 60, 2));
my @sections = map { my %s; @s{qw(name type flags addr offset size link)} =
                         unpack 'L<2Q<4L<', substr $elf, $table + 64 * $_, 44; \%s } 0 .. $count - 1;
my %by_type = map { $_->{type} => $_ } reverse @sections;
my ($symbols, $dynamic, $versions, $needs) = @by_type{11, 6, 0x6fffffff, 0x6ffffffe};
my $strings = $sections[$symbols->{link}]{offset};
sub name { unpack 'Z*', substr $elf, $strings + $_[0], 512 }

# .gnu.version_r: which versions of which library are asked for.
my %too_new;
for (my $need = $needs->{offset}, my $next = 1; $next; $need += $next) {
  (undef, my $entries, undef, my $entry, $next) = unpack 'S<2L<3', substr $elf, $need, 16;
  my (@too_new_at, $oldest);
  for (my $at = $need + $entry; $entries--; ) {
    my ($hash, undef, $index, $version, $step) = unpack 'L<S<2L<2', substr $elf, $at, 16;
    my $name = name($version);
    $oldest //= [$hash, $version] if $name =~ /^(GLIBC_2\.2\.5|GLIBCXX_3\.4)$/;
    if ($name =~ /^GLIBC_2\.(\d+)/ && $1 >= 37 || $name =~ /^GLIBCXX_3\.4\.(\d+)/ && $1 >= 31) {
      $too_new{$index} = $name;
      push @too_new_at, $at;
    }
    $at += $step;
  }
  $oldest or !@too_new_at or die "$file: asks a library for new versions alone\n";
  substr($elf, $_, 4) = pack('L<', $oldest->[0]), substr($elf, $_ + 8, 4) = pack('L<', $oldest->[1]) for @too_new_at;
}

# .dynsym: the undefined symbols.
my ($renamed, $weakened) = (0, 0);
for my $i (1 .. $symbols->{size} / 24 - 1) {
  my $at = $symbols->{offset} + 24 * $i;
  my ($name_at, $info, undef, $defined) = unpack 'L<CCS<', substr $elf, $at, 8;
  next if $defined;
  my $name = name($name_at);
  my $version = $too_new{unpack('S<', substr $elf, $versions->{offset} + 2 * $i, 2) & 0x7fff};
  if ($version && $name eq $never_called || $name =~ $window_symbol) {
    substr($elf, $at + 4, 1) = pack 'C', 2 << 4 | $info & 15;  # STB_WEAK
    $weakened++;
  } elsif ($version) {
    $name =~ /^__isoc23_/ or die "$file: cannot rebind $name\@$version\n";
    substr($elf, $at, 4) = pack 'L<', $name_at + length '__isoc23_';  # the tail of the name is the older name
    $renamed++;
  }
}

# .dynamic: 16-byte entries of tag and value; 1 is NEEDED, 15 is RPATH, 0 ends and pads the table.
my @entries = unpack '(a16)*', substr $elf, $dynamic->{offset}, $dynamic->{size};
my ($origin, @kept);
for my $entry (@entries) {
  my ($tag, $value) = unpack 'Q<2', $entry;
  if ($tag != 1 || name($value) !~ $window_library) { push @kept, $entry }
  elsif (!defined $origin) {
    $origin = $value;
    push @kept, pack 'Q<2', 15, $value;
    substr($elf, $strings + $value, 8) = "\$ORIGIN\0";
  }
}
substr($elf, $dynamic->{offset}, $dynamic->{size}) = join '', @kept, ("\0" x 16) x (@entries - @kept);

seek $handle, 0, 0;
print $handle $elf;
close $handle or die "$file: $!";
warn "rebind: $renamed libc symbols renamed, $weakened others made weak\n" if $ENV{VERBOSE};
