BoutputJ¾
?Qüà¾Ø÷?zô¦¾Ÿ1P¾