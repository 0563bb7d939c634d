"""What does not depend on the genome: ordinary model source, copied beside the generated part."""
